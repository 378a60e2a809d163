"""Natural Chinese texts written for these tests, and the way from texts to signatures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.dedup.signature import Signer
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.files import write_parquet

MARKET = """清晨五点，城南的菜市场已经醒了。卖豆腐的老张把木板一块块卸下来，白气从桶里冒出来，带着一股豆香。
隔壁的鱼摊还在往池子里加水，几条鲫鱼猛地一甩尾巴，溅了过路人一身。买菜的大多是附近的老人，他们不急着走，先绕一圈问问价钱。
一位阿姨捏了捏番茄，又放了回去，说昨天的比今天的新鲜。摊主笑着摇头，从底下翻出几个红透的递给她。
七点以后，上班的年轻人匆匆赶来，扫码、装袋、转身就走。等到太阳照进棚顶的缝隙，地上的菜叶已经被扫成了小堆。
老张的豆腐卖完了，他坐在凳子上点了一支烟，开始盘算明天要泡多少豆子。
"""
LIBRARY = """我们县的图书馆建在河边，是一座三层的旧楼。小时候我每个周末都去那里，因为家里没有书桌，也没有那么多书。
管理员姓周，说话很轻，却记得每个孩子借过什么。有一回我把一本地图册弄湿了，躲了整整两个星期才敢去还。
她没有责备我，只是把书摊在窗台上晒干，又用镇纸压平。后来我离开县城读大学，第一次走进几百万册藏书的大馆，反而有些不知所措。
我常常想起那扇临河的窗户，夏天的风把书页吹得哗哗响。去年回乡，旧楼已经改成了展览馆，门口立着新的牌子。
周老师早就退休了，邻居说她搬去和女儿同住。我在河边站了一会儿，觉得那些年借来的书，其实从来没有真正还清。
"""
BATTERY = """锂离子电池在低温下容量会明显下降，这是因为电解液的黏度升高，离子迁移变得缓慢。
为了弄清楚影响的大小，我们做了一组简单的实验。
样品取自同一批次的商用电芯，额定容量为两千六百毫安时。每只电芯先在室温下充满，再放入恒温箱静置四个小时，最后以恒定电流放电。
结果显示，零度时平均放出额定容量的百分之八十七，零下二十度时只剩百分之五十四。内阻的变化趋势与容量相反，温度越低，内阻越大。
需要说明的是，恒温箱内的温度分布并不完全均匀，靠近门的位置偏高约一度。我们还发现，低温放电之后回到室温，大部分容量可以恢复。
因此短时间的寒冷并不会造成永久损伤，但在低温下快速充电则可能析出金属锂，应当避免。
"""
HISTORY = """运河开通之后，这座小镇成了南北货物的中转站。最热闹的时候，码头上一天要停靠三百多条船，
米行、布庄和茶馆从桥头一直排到庙前。
镇上的人靠水吃饭，也怕水。每到夏天发大水，低处的人家便把粮食搬上阁楼，等水退了再一袋袋扛下来。
铁路修好以后，船渐渐少了，年轻人到省城去谋生，老房子一间间空了出来。
五十年代这里办过一家缫丝厂，招了两百多名女工，厂里的汽笛成了全镇的钟声。
工厂关门那年，许多人站在门口不肯走。如今的小镇又有了人气，周末有学生来写生，也有人专程来听评弹。
桥还是那座桥，只是桥下的水比从前安静得多，再也听不到船工的号子了。
"""
TEACHER = """关于怎样教孩子写作文，我的看法和许多同事不太一样。
他们喜欢先讲结构，开头怎么写，结尾怎么收，中间要有几个段落。
我更愿意让学生先去看一样东西，比如一只蚂蚁怎样搬走饭粒，看上二十分钟，再把看到的说给同桌听。说得清楚的人，写出来也不会太差。
有个男孩总是交白卷，他说自己没有什么可写的。我请他描述一下从家到学校的路，他竟然一口气讲了十分钟，连哪块石板会晃都记得。
我把他的话记下来念给全班听，教室里安静极了。从那以后，他的本子上慢慢有了字，虽然错字不少，句子却是活的。
作文不是一门手艺，至少不首先是。它是把自己的眼睛借给别人用一会儿，前提是你真的睁开过眼睛。
"""
REPLACED = {  # three words in ten sentences each
    MARKET: (("过路人", "路过的人"), ("番茄", "黄瓜"), ("年轻人", "小伙子")),
    LIBRARY: (("周末", "星期天"), ("责备", "批评"), ("旧楼已经", "老楼已经")),
    BATTERY: (("简单", "初步"), ("趋势", "规律"), ("寒冷", "低温")),
    HISTORY: (("热闹", "繁华"), ("阁楼", "楼上"), ("许多人", "不少人")),
    TEACHER: (("同事", "老师"), ("说得清楚", "讲得明白"), ("慢慢", "渐渐")),
}


@pytest.fixture
def essays() -> list[str]:
    """Five unrelated Chinese texts of about 300 characters, full-width punctuation, broken every few sentences."""
    return list(REPLACED)


@pytest.fixture
def edited() -> list[str]:
    """The same texts with a word changed in three of about ten sentences."""
    changed = []
    for text, words in REPLACED.items():
        changed.append(text)
        for old, new in words:
            assert old in text
            changed[-1] = changed[-1].replace(old, new, 1)
    return changed


@pytest.fixture
def documents() -> Callable[..., pa.RecordBatch]:
    """Texts as the columns of DOCUMENTS that dedup reads, keys from 0."""

    def make(
        texts: Sequence[str], *, lane: str = "zh", first_key: int = 0, urls: Sequence[str | None] | None = None
    ) -> pa.RecordBatch:
        keys = np.arange(first_key, first_key + len(texts), dtype=np.uint64)
        columns = [
            pa.array(keys),
            pa.array(urls or [None] * len(texts), pa.string()),
            pa.array([lane] * len(texts), pa.string()),
            pa.array(texts, pa.large_string()),
        ]
        return pa.record_batch(columns, names=["key", "url", "lane", "text"])

    return make


@pytest.fixture
def band_files(tmp_path: Path, documents: Callable[..., pa.RecordBatch]) -> Callable[..., list[str]]:
    """Writes the signatures of texts as band files of `rows` documents each, keys from 0, and gives their paths."""

    def write(
        texts: Sequence[str],
        *,
        config: DedupConfig,
        lane: str = "zh",
        rows: int = 4,
        urls: Sequence[str | None] | None = None,
        name: str = "part",
        first_key: int = 0,
    ) -> list[str]:
        signer = Signer(config)
        paths = []
        for start in range(0, len(texts), rows):
            own = urls[start : start + rows] if urls else None
            batch = documents(texts[start : start + rows], lane=lane, first_key=first_key + start, urls=own)
            paths.append(str(tmp_path / "bands" / f"{name}-{start // rows:05d}.parquet"))
            write_parquet(paths[-1], signer.sign(batch))
            write_parquet(paths[-1].replace("/bands/", "/texts/"), batch)
        return paths

    return write
