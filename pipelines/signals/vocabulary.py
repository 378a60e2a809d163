"""Small word lists of our own: function words that prose cannot do without, and what pages to leave out are full of.

A term is matched as a sequence of units (`words.Units`), so case, width, spaces and punctuation inside do not hide it,
and an English term only matches whole words.
"""

ZH_FUNCTION_CHARACTERS = frozenset(
    "的了是在不有和就也都而及与与這这那我你他她它们們个個上下中为為以对對从從到被把将將让讓于於其之者"
    "所此则則若如何但或且因由使可能会會要着著过過得地没沒未无無非很又再已还還只等当當时時后後前里裡"
    "乎焉矣哉耳也曰乃吾汝尔爾夫盖蓋故吗嗎呢吧啊说說看来來去给給向比更最每各该該应應需须須"
)  # modern and classical, simplified and traditional; about a fifth of running text

ZH_SENTENCE_CHARACTERS = frozenset(
    "的了是不着著过過也就都很又再还還被把吗嗎呢吧啊没沒无無之乎矣焉哉而何兮若岂豈谁誰那这這她他你"
)  # those that sentences and verse hold but menu entries (关于我们, 网站地图, 在线客服, 作者) do not

EN_STOP_WORDS = frozenset(
    """a about after all also an and any are as at be because been but by can could did do does for from had has have he
    her him his how i if in into is it its just like may me more most my no not of on one only or other our out over she
    should so some such than that the their them then there these they this those through to under up us use was we were
    what when where which while who will with would you your""".split()  # noqa: SIM905 - read as a sentence, not as a list
)  # our own choice of the commonest English words

GAMBLING_TERMS = """
澳门赌场 澳門賭場 网上赌场 網上賭場 真人赌场 线上赌场 線上賭場 网络赌博 在线赌博 赌博网站 博彩网站 博彩公司 博彩平台
博彩娱乐 网上博彩 博彩 娛樂城 娱乐城 真人娱乐 真人荷官 百家乐 百家樂 老虎机 老虎機 时时彩 時時彩 六合彩 北京赛车 pk10
幸运飞艇 彩票平台 彩票网站 棋牌游戏 棋牌平台 捕鱼游戏 捕鱼达人 炸金花 投注 下注 押注 赌球 体育投注 足彩 赔率 注册送
彩金 返水 返利 存款优惠 开户送 充值送 葡京 威尼斯人 银河娱乐 金沙娱乐 新葡京 必发 澳门银河 皇冠体育 皇冠现金 bet365
188bet 12bet m88 w88 188金宝博 申博 万博 亚博 德州扑克 赌场 賭場 赌博 賭博 赌钱 赌徒 开奖 开奖结果 特码 一肖 平特 稳赚
包赢 online_casino casino_bonus slot_machine slot_machines jackpot baccarat roulette blackjack sportsbook
sports_betting bookmaker free_spins poker_room online_gambling casino casinos bet_now deposit_bonus no_deposit_bonus
situs_judi judi_online slot_online
"""

PORN_TERMS = """
成人电影 成人视频 成人影片 成人网站 成人小说 成人论坛 色情 色情网站 黄色网站 黄色电影 黄色小说 情色 裸聊 裸体视频 无码
無碼 有码 国产自拍 偷拍自拍 自拍偷拍 一夜情 援交 约炮 約砲 约炮网 楼凤 小姐上门 全套服务 激情视频 激情小说 激情电影
av女优 av在线 av电影 日本av 三级片 三級片 毛片 a片 黄片 做爱 口交 肛交 性爱 性愛 淫荡 淫乱 淫水 骚逼 骚货 鸡巴 肉棒
巨乳 乳交 爆乳 潮吹 颜射 内射 手淫 轮奸 熟女 制服诱惑 丝袜美女 福利姬 炮友 伦理片 倫理片 porn porno porntube sex_video
sex_videos hardcore_sex anal_sex blowjob cumshot creampie milf hentai nude_girls naked_girls live_sex camgirl
escort_service escorts_service pussy sluts
"""

SENSITIVE_TERMS = """
办假证 假证件 刻章办证 办毕业证 毕业证办理 办理毕业证 代办毕业证 办文凭 文凭办理 代办学历 学历代办 办身份证
买驾照 驾照代办 驾证代办 代扣分 代开发票 发票代开 代开增值税 代写论文 论文代写 论文代发 代发论文 代写代发 替考
贷款秒批 秒批 秒下款 秒到账 无抵押贷款 无抵押无担保 黑户贷款 黑户可贷 当天放款 当天下款 快速放款 极速放款
私人放款 民间放款 贷款口子 网贷口子 下款口子 信用卡套现 花呗套现 信用卡代还 代还信用卡 征信洗白 征信修复 急用钱
私服 传奇私服 新开传奇 传奇sf 传世私服 魔兽私服 私服发布网 游戏外挂 外挂下载 辅助外挂 刷钻 刷赞 刷粉 刷流量
刷信誉 卡盟 兼职刷单 网赚 网络赚钱 网上赚钱 手机赚钱 在家赚钱 轻松赚钱 日赚 日入过千 月入过万 躺赚 零投资
稳定收益 高额回报 快速排名 seo优化 seo排名 关键词排名 网站优化 排名优化 黑帽seo 外链代发 代发外链 泛目录
蜘蛛池 站群软件 友链交换 招商热线 加盟热线 订购热线 免费咨询 招商加盟
加盟代理 诚招代理 火爆招商 货到付款 厂家直销 量大从优 价格优惠 欢迎来电 欢迎咨询 欢迎选购 来电咨询 高仿
精仿 高仿手表 高仿包 a货 一比一复刻 顶级复刻 黑客接单 开房记录查询 查开房记录 手机定位找人 手机监听 手机窃听
私家侦探 婚外情调查 复制手机卡 迷情药 听话水 催情药 催情水 壮阳药 延时喷剂 增大增粗 丰胸产品 减肥产品 代孕
代孕公司 包生男孩 代妈 payday_loan payday_loans cash_advance no_credit_check bad_credit_loans instant_approval
buy_viagra cheap_viagra generic_viagra viagra_online viagra cialis levitra weight_loss_pills diet_pills
male_enhancement replica_watches replica_handbags essay_writing_service essay_writing_services custom_essay
buy_essay write_my_essay make_money_online earn_money_online work_from_home seo_services link_building
buy_followers buy_backlinks click_here_now act_now limited_time_offer special_offer free_shipping
money_back_guarantee risk_free_trial forex_signals binary_options 考试包过 找人代考 驾照消分 代刷网 办证刻章
黑户贷 私人空放
"""
"""Advertisements and offers of fraud: papers, loans, games, rankings, remedies; nothing that law or medicine need."""

PROFANITY_TERMS = """
傻逼 傻屄 傻叉 傻吊 煞笔 装逼 逼样 牛逼 操你妈 操他妈 卧槽 草泥马 尼玛 你妈逼 妈逼 你妈的 他妈的 他妈逼
去你妈 日你妈 干你娘 肏 狗日的 狗娘养 狗杂种 王八蛋 王八羔子 龟儿子 婊子 死全家 脑残 屌丝 屌爆 操蛋
滚蛋 放狗屁 混账东西 cnm nmsl fuck fucks fucked fucker fuckers fucking motherfucker motherfuckers motherfucking
shit shits shitty bullshit asshole assholes bitch bitches cunt cunts dickhead dickheads douchebag faggot faggots
nigger niggers wanker wankers twat twats cocksucker cocksuckers
"""
"""Swear words without another sense: not 沙雕, 我操 (我操作), 杂种, 智障, 妈的 (妈妈的), bastard, retard."""
