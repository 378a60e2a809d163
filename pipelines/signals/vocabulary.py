"""Small word lists of our own: function words that prose cannot do without, and what spam pages are stuffed with.

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
