"use strict";
/* What the page says, in both languages: [Chinese, English]. {name} is filled in. */

const WORDS = {
  title: ["数据卡", "Data card"],
  subtitle: ["读入了什么，留下了什么，为什么", "What was read, what was kept, and why"],
  skip: ["跳到正文", "Skip to the content"],
  contents: ["目录", "Contents"],
  footer: ["由 ctllm 生成；此文件不联网，可直接保存或转发。", "Made by ctllm. This file asks nothing of the network: keep it, or send it on."],
  documents: ["文档", "documents"],
  chars: ["字符", "characters"],
  tokens: ["词元（估计）", "tokens (estimated)"],
  documents_short: ["文档", "documents"],
  chars_short: ["字符", "characters"],
  tokens_short: ["词元", "tokens"],
  unit: ["计量单位", "Count by"],
  run: ["运行", "run"],
  version: ["版本", "version"],
  config_digest: ["配置摘要", "config"],
  code: ["代码摘要", "code"],

  overview: ["总览", "Overview"],
  read: ["读入", "read"],
  kept: ["保留", "kept"],
  removed: ["移除", "removed"],
  failed: ["失败", "failed"],
  kept_chars: ["保留字符", "characters kept"],
  kept_tokens: ["保留词元（估计）", "tokens kept (est.)"],
  clusters: ["重复簇", "duplicate clusters"],
  copies_removed: ["移除 {count} 份副本", "{count} copies removed"],
  of_read: ["占读入 {share}", "{share} of read"],
  of_all_chars: ["占全部字符 {share}", "{share} of all characters"],
  of_all_tokens: ["占全部词元 {share}", "{share} of all tokens"],
  in_sources: ["{count} 个来源", "{count} sources"],
  by_rules: ["被规则移除", "removed by rules"],
  as_copies: ["作为副本移除", "removed as copies"],
  other_lane: ["其他语言", "other languages"],
  balance: ["读入 {read} = 保留 {kept} + 移除 {removed} + 失败 {failed}", "{read} read = {kept} kept + {removed} removed + {failed} failed"],
  balanced: ["账目相符", "the books balance"],
  unbalanced: ["账目不符", "the books do not balance"],

  funnel: ["去向", "Funnel"],
  funnel_note: ["从来源到分道，再到保留、第一条未通过的规则或失败。带宽按{unit}计。", "From source to lane to kept, first failing rule or failure. Widths count {unit}."],
  failed_uncounted: ["失败的记录没有文本，只计文档数。", "Failed records have no text, so they count as documents only."],
  nothing_read: ["没有可按{unit}计的内容。", "There is nothing to count in {unit}."],
  nothing_kept: ["没有保留任何内容。", "Nothing was kept."],
  other_sources: ["其余 {count} 个来源", "{count} more sources"],
  other_reasons: ["其余 {count} 个原因", "{count} more reasons"],
  as_table: ["以表格查看", "Show as a table"],

  mixture: ["配比", "Mixture"],
  mixture_note: ["保留下来的内容按分道与来源的构成，按{unit}计。", "What is kept, by lane and by source, in {unit}."],
  by_lane: ["按分道", "By lane"],
  by_source: ["按来源（条末为留存率）", "By source (share kept at the end of each bar)"],
  beyond_sources: ["其余来源：{amount} {unit}（{share}）", "All other sources: {amount} {unit} ({share})"],

  heat: ["来源 × 原因", "Source × reason"],
  heat_largest: ["共 {all} 个来源，列出最大的 {shown} 个。", "The largest {shown} of {all} sources."],
  heat_note: ["每格是该来源因此原因（首个未通过项）被移除的份额，按{unit}计；颜色越浓份额越大。", "Each cell is the share of a source that was removed for this reason first, in {unit}; stronger colour is more."],

  share_of_source: ["占来源", "of the source"],
  share_kept: ["留存率", "share kept"],
  nothing_lost: ["全部保留，没有移除。", "Everything was kept."],

  rules: ["规则", "Rules"],
  rules_note: ["每条规则拒绝了多少{unit}：总计、仅因它、首先因它。点开规则可看信号分布。", "How many {unit} each rule refuses: at all, alone, and first. Open a rule to see its signal."],
  rule: ["规则", "rule"],
  threshold: ["阈值", "threshold"],
  failing: ["未通过", "failing"],
  only: ["仅此一条", "only this"],
  first: ["首条", "first"],
  share_of_lane: ["占分道", "of the lane"],
  lane: ["分道", "lane"],
  source: ["来源", "source"],
  reason: ["原因", "reason"],
  all: ["全部", "all"],
  hide_idle: ["隐藏未触发的规则", "hide rules that refused nothing"],
  see_histogram: ["查看 {signal} 的分布", "see the histogram of {signal}"],
  no_rules: ["没有规则被触发。", "No rule refused anything."],

  histograms: ["信号分布", "Signals"],
  histograms_note: ["每个分道各信号的直方图，按{unit}计。虚线为阈值，阴影一侧被拒绝。", "Histogram of every signal, lane by lane, in {unit}. The dashed line is the threshold; the shaded side is refused."],
  from: ["从", "from"],
  below: ["至（不含）", "to below"],
  signal: ["信号", "signal"],
  with_rule: ["有阈值", "with a threshold"],
  without_rule: ["仅测量", "measured only"],
  log_scale: ["纵轴取对数", "logarithmic counts"],
  at_least: ["不低于 {value}", "at least {value}"],
  at_most: ["不高于 {value}", "at most {value}"],
  refused_here: ["{lane}：拒绝 {count}（{share}）", "{lane}: {count} refused ({share})"],
  no_threshold: ["{lane}：无阈值", "{lane}: no threshold"],
  measure_documents: ["文档数", "documents"],

  whatif: ["试算", "What if"],
  whatif_note: ["同时改动几条规则的阈值，看各分道会留下多少。合计由抽样推算，± 为 95% 置信区间；未改动时为准确值。单独一条规则拒绝多少，由直方图得出。", "Change several thresholds at once and see what each lane would keep. Totals are estimated from a sample, ± is a 95 % interval; unchanged, they are exact. What one rule alone refuses comes from its histogram."],
  unpacking: ["正在展开样本……", "Unpacking the sample …"],
  as_configured: ["恢复原阈值", "As configured"],
  then_kept: ["改后保留", "then kept"],
  sampled_of: ["{lane}：抽样 {sampled} / {all}", "{lane}: {sampled} of {all} sampled"],
  comma: ["，", ", "],
  full_stop: ["。", "."],
  unsure_copies: ["其中 {count} 份去留有变的抽样文档有副本，究竟留哪一份由下面的命令算出；此处副本一律算作移除。", "{count} sampled documents whose fate changes have copies: the command below finds which of them stays; here, copies stay removed."],
  is_on: ["启用", "on"],
  slider: ["调节", "slide"],
  refuses: ["拒绝文档数", "documents refused"],
  only_documents: ["其中仅因它", "by it alone"],

  duplicates: ["重复", "Duplicates"],
  duplicates_note: ["每簇只保留一份。下方并排比较保留的一份与最不相似的副本。", "One document of every cluster stays. Below, the one that stays beside its least similar copy."],
  cluster_sizes: ["簇大小", "Cluster sizes"],
  size: ["大小", "size"],
  num_clusters: ["簇数", "clusters"],
  largest: ["最大的簇", "largest cluster"],
  exact: ["完全相同", "exact"],
  near: ["近似", "near"],
  url: ["网址相同", "same URL"],
  cluster: ["簇", "cluster"],
  survivor: ["保留的一份", "The one that stays"],
  copy: ["最不相似的副本", "The least similar copy"],
  same_excerpt: ["开头 600 个字符完全相同。", "The first 600 characters are the same."],
  cluster_line: ["{kind} · {size} 份 · Jaccard {jaccard}", "{kind}, {size} documents, Jaccard {jaccard}"],
  no_clusters: ["没有发现重复。", "No duplicates were found."],

  samples: ["样本", "Samples"],
  samples_note: ["每个分道与原因的若干文档，以及离阈值最近的文档。规则所计的字符已标出：实底为过多，下划线为过少。发布时隐去的个人信息在此也隐去。", "Some documents of every lane and reason, and those nearest to a bound. What a rule counts is marked: filled where there is too much of it, underlined where too little. Personal data that publishing redacts is redacted here too."],
  at_border: ["临界", "at the border"],
  counts_whole: ["该规则衡量整篇文本，没有可标出的位置。", "The rule measures the whole text: there is no place to mark."],
  counts_none: ["此处没有该规则所计的内容。", "Nothing here is what the rule counts."],
  from_character: ["……（自第 {count} 字起）", "… (from character {count}) "],
  outcome: ["结果", "outcome"],
  search: ["在样本中查找", "find in samples"],
  shown_of: ["显示 {shown} / {total}", "{shown} of {total} shown"],
  more: ["显示更多", "Show more"],
  no_samples: ["没有符合条件的样本。", "No sample matches."],
  value_against: ["测得 {value}，阈值 {threshold}", "measured {value}, threshold {threshold}"],

  edits: ["改动", "Edits"],
  edit: ["改动", "edit"],
  edits_note: ["发布的文本里替换、删去或仅标记的片段：个人信息、评测题、重复的句子与站点公共行。", "Spans of the published text that were replaced, cut or only recorded: personal data, benchmark items, sentences said again, lines a site shares."],
  edit_count: ["处", "edits"],
  replaced: ["已替换", "replaced"],
  no_edits: ["没有改动。", "Nothing was changed."],

  lines: ["重复行", "Common lines"],
  lines_note: ["在同一站点或整个语料的许多文档里出现的行与段：从发布的文本中删去，记入 edits。", "Lines and paragraphs that many documents of a site or of the corpus hold: cut out of the published text and recorded in edits."],
  lines_off: ["没有统计跨文档的行。", "Lines were not counted across documents."],
  no_lines: ["没有重复的行。", "No line is common enough to be cut."],
  line: ["行", "line"],
  site: ["站点", "site"],
  occurrences: ["出现处", "occurrences"],
  first_document: ["首个文档", "first document"],
  contamination: ["评测题", "Benchmarks"],
  contamination_note: ["文档中出现的评测题：重合度是该题的 n 元组有多少出现在文档里；逐条证据见 contamination/。", "Benchmark items in the documents: overlap is how much of an item's n-grams a document holds. Each is listed in contamination/."],
  contamination_drop: ["泄漏的文档被移除。", "Documents that leak an item are removed."],
  contamination_cut: ["泄漏的题目从文本中删去，文档保留。", "Leaked items are cut out of the text; the documents stay."],
  contamination_flag: ["泄漏的题目只作标记，文本不变。", "Leaked items are only recorded; the text stays as it is."],
  benchmark: ["评测集", "benchmark"],
  leaked: ["泄漏", "leaks"],
  max_overlap: ["最高重合", "highest overlap"],
  item: ["题目", "item"],
  best_document: ["重合最高的文档", "document"],
  no_contamination: ["文档中没有发现评测题。", "No benchmark item was found in the documents."],
  no_benchmarks: ["未配置评测集。", "No benchmarks are configured."],

  failures: ["失败", "Failures"],
  failures_note: ["未能成为文档的记录；逐条详情见 failures/。", "Records that could not become documents; each is listed in failures/."],
  kind: ["种类", "kind"],
  meaning: ["含义", "meaning"],
  no_failures: ["没有失败的记录。", "Nothing failed."],

  training: ["训练", "Training"],
  training_note: ["损失为每个标签的奈特数，更新前测得；虚线为测得的留出损失，竖线为检查点，叉为异常的一步。", "Loss in nats per label, measured before each update; dotted is held-out loss, upright lines are checkpoints, a cross is a step with a trouble."],
  comparison: ["各次训练比较", "Runs compared"],
  step: ["步", "step"],
  steps: ["步数", "steps"],
  no_steps: ["还没有完成一步。", "No step is done yet."],
  unfinished: ["未完成", "not finished"],
  loss: ["损失", "loss"],
  learning_rate: ["学习率", "learning rate"],
  grad_norm: ["梯度范数", "gradient norm"],
  tokens_per_s: ["每秒标签", "labels/s"],
  mfu: ["算力利用率 MFU", "MFU"],
  gemm_share: ["占矩阵乘法速率", "of GEMM speed"],
  num_parameters: ["参数量", "parameters"],
  curves_of: ["曲线", "curves of"],
  skipped: ["跳过", "skipped"],
  left_out: ["略过", "left out"],
  step_alarm: ["警报", "alarm"],
  alarms: ["警报", "alarms"],
  both_fall: ["中选与落选回答的似然都在下降：相对参考模型 {chosen} 与 {rejected} 奈特（最近 {steps} 步）；请调低 optimizer.learning_rate、调高 beta，或改用 loss: apo_zero",
    "chosen and rejected answers both lose likelihood: {chosen} and {rejected} nats against the reference over {steps} steps; lower optimizer.learning_rate, raise beta, or try loss: apo_zero"],
  troubles_of: ["异常的步（{count}）", "Steps with a trouble ({count})"],
  what: ["情况", "what"],
  checkpoints: ["检查点", "Checkpoints"],
  no_checkpoints: ["没有检查点。", "There is no checkpoint."],
  weights_digest: ["权重摘要", "digest of the weights"],
  label_tokens: ["训练标签", "labels trained on"],
  measure: ["指标", "measure"],
  measured_value: ["数值", "value"],
  before: ["之前", "before"],
  after: ["之后", "after"],
  evaluation: ["评测", "Evaluation"],
  score_chart: ["正确率与 95% 置信区间", "accuracy with 95 % interval"],
  while_training: ["训练中测得", "Measured while training"],
  items: ["题数", "items"],
  chance: ["随机作答", "guessing"],
  constant: ["总答同一项", "one letter always"],
  bits_per_byte: ["每字节比特数，{lane}", "bits per byte, {lane}"],
  preferences: ["偏好正确率", "preference accuracy"],
  without_contaminated: ["（除去 {count} 道污染题：{value}）", "(without {count} contaminated: {value})"],
  ratios: ["SFT 的中英比例", "Chinese to English in SFT"],
  ratios_note: ["同一检查点，按不同的中英比例微调，步数与留出数据相同。", "One checkpoint, tuned on several ratios with equally many steps and the same held-out rows."],
  lane_only: ["仅{lane}", "{lane} only"],
  language_ratio: ["比例", "ratio"],
  model_texts: ["模型续写", "What the model writes"],
  beginning: ["开头", "beginning"],
  continuation: ["续写", "continuation"],
  first_last: ["首步 → 末步损失", "loss, first → last step"],

  lineage: ["谱系", "Lineage"],
  lineage_note: ["从整理的版本到检查点：每件产物记下了来源的摘要，与现存的来源核对。", "From the curated version to the checkpoints: every product recorded digests of what it was made from; they are compared with what lies there now."],
  lineage_alone: ["加 --training 写报告，即可看到由此版本训练的模型。", "Write the report with --training to see the models trained on this version."],
  lineage_curated: ["整理的版本", "curated version"],
  lineage_tokenizer: ["分词器", "tokenizer"],
  lineage_tokens: ["词元", "tokens"],
  lineage_plan: ["训练计划", "plan"],
  lineage_training: ["训练", "training"],
  lineage_checkpoint: ["检查点", "checkpoint"],
  lineage_documents: ["文档", "documents"],
  lineage_pieces: ["词表", "pieces"],
  lineage_labels: ["标签", "labels"],
  digest_same: ["摘要一致", "the digests agree"],
  digest_other: ["摘要不一致：来源后来变了，或不是这一份", "the digests differ: what lies there is not what it was made from"],
  digest_unchecked: ["未能核对：来源不在，或文件过大", "not compared: it is not there, or too large to be read here"],
  not_there: ["不在报告所知之处", "not among what the report was given"],

  stages: ["过程", "The run"],
  stages_note: ["各阶段用时与计数；输入与完整配置。", "Time and counts of each stage; the inputs; the whole config."],
  stage: ["阶段", "stage"],
  seconds: ["秒", "seconds"],
  counts: ["计数", "counts"],
  inputs: ["输入", "Inputs"],
  format: ["格式", "format"],
  files: ["文件数", "files"],
  bytes: ["大小", "size"],
  config: ["完整配置", "The whole config"],
  too_low: ["{signal}过低", "{signal}: too low"],
  too_high: ["{signal}过高", "{signal}: too high"],
};

const LANES = {
  zh: ["中文", "Chinese"],
  en: ["英文", "English"],
  code: ["代码", "code"],
  other: ["其他语言", "other language"],
};

const REASONS = {
  exact_duplicate: ["完全重复", "exact copy"],
  near_duplicate: ["近似重复", "near copy"],
  url_duplicate: ["网址重复", "copy by URL"],
  other_language: ["其他语言", "other language"],
  nothing_left: ["删减后无正文", "nothing left after cuts"],
};

const EDITS = {
  "pii:secret": ["密钥", "key or token"],
  "pii:id_card": ["身份证号", "identity number"],
  "pii:bank_card": ["银行卡号", "bank card"],
  "pii:mobile": ["手机号", "mobile number"],
  "pii:landline": ["座机号", "landline number"],
  "pii:email": ["邮箱", "e-mail address"],
  "pii:qq": ["QQ号", "QQ id"],
  "pii:wechat": ["微信号", "WeChat id"],
  "pii:passport": ["护照号", "passport"],
  "pii:plate": ["车牌号", "licence plate"],
  "pii:ip": ["IP地址", "IP address"],
  "line:site": ["站内重复行", "line common on its site"],
  "line:corpus": ["语料重复行", "line common in the corpus"],
  "paragraph:site": ["站内重复段", "paragraph common on its site"],
  "paragraph:corpus": ["语料重复段", "paragraph common in the corpus"],
  "run:earlier": ["他文已有片段", "run of words of an earlier document"],
  "sentence:repeated": ["文内重复句", "sentence said again"],
  "sentence:similar": ["文内相似句", "sentence nearly said again"],
};

const FAILURES = {
  broken_encoding: ["编码损坏", "broken encoding", "字节无法按任何字符集解码", "the bytes are text of no character set"],
  broken_json: ["JSON 损坏", "broken JSON", "该行不是合法 JSON", "the line is not valid JSON"],
  broken_record: ["记录损坏", "broken record", "记录的头或长度不一致", "headers or length of the record do not fit"],
  empty_file: ["空文件", "empty file", "文件没有内容", "the file holds nothing"],
  empty_text: ["空文本", "empty text", "抽取后没有正文", "no text was left after extraction"],
  missing_text: ["缺少文本", "missing text", "记录没有文本字段", "the record has no text field"],
  not_text: ["不是文本", "not text", "图片、压缩包等二进制内容", "an image, an archive or other binary content"],
  too_large: ["过大", "too large", "超过单个文档的上限", "above the bound for one document"],
  truncated: ["截断", "truncated", "文件在记录中途结束", "the file ends inside a record"],
  unreadable: ["无法读取", "unreadable", "文件打不开或读到一半出错", "the file cannot be opened or read to the end"],
  wrong_schema: ["结构不符", "wrong schema", "列或字段与约定不一致", "columns or fields are not the expected ones"],
};

const STAGES = {
  measure: ["测量", "measure"],
  pairs: ["找副本", "pairs"],
  lines: ["找公共行", "lines"],
  decide: ["裁定", "decide"],
  publish: ["发布", "publish"],
};

const TRAINING_STAGES = {
  pretrain: ["预训练", "pretraining"],
  sft: ["监督微调", "SFT"],
  dpo: ["偏好优化", "DPO"],
};

const SIGNALS = {
  num_chars: ["字符数", "length in characters"],
  num_bytes: ["字节数", "length in bytes"],
  num_lines: ["行数", "number of lines"],
  max_line_chars: ["最长行", "longest line"],
  num_words: ["词数", "number of words"],
  url_list: ["网址名单类别", "category of the URL list"],
  char_entropy: ["字符熵", "character entropy"],
  mean_line_chars: ["平均行长", "mean line length"],
  mean_word_chars: ["平均词长", "mean word length"],
  mean_code_line_chars: ["平均代码行长", "mean code line length"],
  han_share: ["汉字占比", "Han characters"],
  latin_share: ["拉丁字母占比", "Latin letters"],
  digit_share: ["数字占比", "digits"],
  punctuation_share: ["标点占比", "punctuation"],
  symbol_share: ["符号占比", "symbols"],
  whitespace_share: ["空白占比", "whitespace"],
  alnum_share: ["字母数字占比", "letters and digits"],
  url_share: ["链接占比", "links"],
  hash_share: ["井号占比", "hash signs"],
  ellipsis_share: ["省略号占比", "ellipses"],
  bracket_share: ["方括号占比", "lenticular brackets"],
  distinct_char_share: ["不同字符占比", "distinct characters"],
  replacement_share: ["乱码占比", "garbled characters"],
  short_line_share: ["短行占比", "short lines"],
  num_prose_chars: ["成文字数", "written-out text, characters"],
  prose_share: ["成文占比", "written-out text"],
  menu_share: ["菜单文字占比", "menu text"],
  end_mark_line_share: ["句末标点行占比", "lines with an end mark"],
  bullet_line_share: ["项目符号行占比", "bullet lines"],
  readmore_line_share: ["“阅读更多”行占比", "read-more lines"],
  duplicate_line_share: ["重复行占比", "repeated lines"],
  duplicate_paragraph_share: ["重复段落占比", "repeated paragraphs"],
  brief_line_share: ["三十字以内行占比", "lines of at most 30 characters"],
  ellipsis_line_share: ["省略号结尾行占比", "lines that end in an ellipsis"],
  boilerplate_share: ["页面套话占比", "boilerplate"],
  c4_line_share: ["脚本与占位文字行占比", "javascript and lorem ipsum lines"],
  simplified_share: ["简体字占比", "simplified characters"],
  traditional_share: ["繁体字占比", "traditional characters"],
  kana_share: ["假名占比", "kana"],
  hangul_share: ["谚文占比", "hangul"],
  mixed_share: ["其他文字占比", "letters of other scripts"],
  non_alpha_word_share: ["无字母词占比", "words without a letter"],
  upper_case_word_share: ["全大写词占比", "words in capitals"],
  symbols_per_word: ["每词符号数", "symbols per word"],
  curly_bracket_share: ["花括号占比", "curly brackets"],
  top_2gram_share: ["最高频二元组占比", "most frequent 2-gram"],
  top_3gram_share: ["最高频三元组占比", "most frequent 3-gram"],
  top_4gram_share: ["最高频四元组占比", "most frequent 4-gram"],
  duplicate_5gram_share: ["重复五元组占比", "repeated 5-grams"],
  duplicate_6gram_share: ["重复六元组占比", "repeated 6-grams"],
  duplicate_7gram_share: ["重复七元组占比", "repeated 7-grams"],
  duplicate_8gram_share: ["重复八元组占比", "repeated 8-grams"],
  duplicate_9gram_share: ["重复九元组占比", "repeated 9-grams"],
  duplicate_10gram_share: ["重复十元组占比", "repeated 10-grams"],
  distinct_word_share: ["不同词占比", "distinct words"],
  lang_score: ["语种把握", "language score"],
  stop_word_share: ["虚词占比", "function words"],
  gambling_share: ["赌博词占比", "gambling words"],
  porn_share: ["色情词占比", "pornographic words"],
  sensitive_share: ["广告与诈骗词占比", "advertising and fraud words"],
  profanity_share: ["粗口占比", "swear words"],
  custom_share: ["自定义词占比", "words of the custom list"],
  num_secrets: ["密钥数", "keys and tokens"],
  is_generated: ["自动生成", "generated file"],
  has_license: ["许可证头", "licence header"],
  data_line_share: ["数据行占比", "lines of data"],
  comment_share: ["注释行占比", "comment lines"],
  quality_score: ["质量得分", "quality score"],
  benchmark_overlap: ["与评测题重合", "overlap with benchmarks"],
  ctllm_bracket_share: ["【】内文字占比（CT-LLM）", "text in brackets (CT-LLM)"],
  ctllm_num_sentences: ["句数（CT-LLM）", "sentences (CT-LLM)"],
  ctllm_num_chars: ["字符数（CT-LLM）", "length in characters (CT-LLM)"],
  ctllm_mean_word_chars: ["平均词长（CT-LLM）", "mean word length (CT-LLM)"],
  ctllm_hash_share: ["井号串密度（CT-LLM）", "runs of hash signs (CT-LLM)"],
  ctllm_ellipsis_share: ["省略号密度（CT-LLM）", "ellipses (CT-LLM)"],
  ctllm_digit_share: ["数字占比（CT-LLM）", "digits (CT-LLM)"],
  ctllm_readmore_line_share: ["“更多”行占比（CT-LLM）", "read-more lines (CT-LLM)"],
  ctllm_bullet_line_share: ["项目符号行占比（CT-LLM）", "bullet lines (CT-LLM)"],
  ctllm_num_punctuation: ["标点数（CT-LLM）", "punctuation marks (CT-LLM)"],
  ctllm_distinct_char_share: ["不同字符占比（CT-LLM）", "distinct characters (CT-LLM)"],
  ctllm_char_entropy: ["字符熵（CT-LLM）", "character entropy (CT-LLM)"],
  ctllm_lang_score: ["语种得分（CT-LLM）", "language score (CT-LLM)"],
  ctllm_top_2gram_share: ["最高频二元组占比（CT-LLM）", "most frequent 2-gram (CT-LLM)"],
  ctllm_top_3gram_share: ["最高频三元组占比（CT-LLM）", "most frequent 3-gram (CT-LLM)"],
  ctllm_top_4gram_share: ["最高频四元组占比（CT-LLM）", "most frequent 4-gram (CT-LLM)"],
};

const state = { language: 1, unit: "tokens" };

/** The entry of a dictionary in the language of the page; `fallback` where the dictionary has none. */
function entry(dictionary, name, fallback) {
  return Object.hasOwn(dictionary, name) ? dictionary[name][state.language] : fallback;
}

/** A text of the page with its {places} filled in. */
function word(name, values = {}) {
  return entry(WORDS, name, name).replace(/\{(\w+)\}/g, (place, key) => values[key] ?? place);
}

const laneWord = (lane) => entry(LANES, lane, lane);
const stageWord = (stage) => entry(STAGES, stage, stage);
const trainingStageWord = (stage) => entry(TRAINING_STAGES, stage, stage);
const failureWord = (kind) => entry(FAILURES, kind, kind);
const failureMeaning = (kind) => (Object.hasOwn(FAILURES, kind) ? FAILURES[kind][state.language + 2] : "");
const editWord = (kind) => {
  const [group, name] = kind.split(/:(.*)/s);
  return group === "benchmark" ? `${word("benchmark")} ${name}` : entry(EDITS, kind, name ?? kind);
};
/** An alarm of the ledger (`both_fall` of model/dpo.py), which is an English sentence; one that is not known stays as it is. */
function alarmWord(alarm) {
  const fall = /^chosen and rejected answers both lose likelihood: (\S+) and (\S+) nats against the reference over (\d+) steps;/.exec(alarm);
  return fall && state.language === 0 ? word("both_fall", { chosen: fall[1], rejected: fall[2], steps: fall[3] }) : alarm;
}
const signalWord = (signal) => entry(SIGNALS, signal, signal.replaceAll("_", " "));

/** A reason in words: a constant of schemas.verdict, a failure kind, or a rule `min_<signal>` or `max_<signal>`. */
function reasonWord(reason) {
  const bound = /^(min|max)_(.+)$/.exec(reason);
  if (bound) return word(bound[1] === "min" ? "too_low" : "too_high", { signal: signalWord(bound[2]) });
  return entry(REASONS, reason, failureWord(reason));
}

const locale = () => (state.language === 0 ? "zh-CN" : "en");
const whole = (number) => number.toLocaleString(locale());
const compact = (number) =>
  number.toLocaleString(locale(), { notation: number < 1e4 ? "standard" : "compact", maximumFractionDigits: 1 });
const decimal = (number) =>
  number === null ? "–" : number.toLocaleString(locale(), { maximumSignificantDigits: 4 });

/** A share as a percentage; small ones keep two digits, so that something never reads as 0 %. */
function percent(part, total) {
  if (!total) return "–";
  const share = part / total;
  const digits = share > 0 && share < 0.01 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 1 };
  return share.toLocaleString(locale(), { style: "percent", ...digits });
}
