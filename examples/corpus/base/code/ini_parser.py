"""读取 INI 风格的配置文本，支持继承段与变量替换。"""

import re

_SECTION = re.compile(r"^\[(?P<name>[^\[\]:]+)(?::(?P<parent>[^\[\]]+))?\]$")
_REFERENCE = re.compile(r"\$\{(\w+)\}")


class ConfigError(Exception):
    """配置有误时抛出，消息里带上行号，方便用户定位。"""


def load(text):
    sections, current = {}, None
    for number, raw in enumerate(text.splitlines(), start=1):
        # 只有行首的分号和井号才算注释，值里面的井号（例如颜色）要保留。
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        match = _SECTION.match(line)
        if match:
            name, parent = match["name"].strip(), match["parent"]
            # [子段:父段] 表示先复制父段的全部键，再由后面的行覆盖。
            if parent and parent.strip() not in sections:
                raise ConfigError(f"第 {number} 行：父段 {parent.strip()} 尚未定义")
            inherited = sections[parent.strip()] if parent else {}
            current = sections.setdefault(name, {})
            current.update(inherited)
            continue
        key, equals, value = line.partition("=")
        if not equals or current is None:
            raise ConfigError(f"第 {number} 行：既不是段名，也不是“键 = 值”")
        current[key.strip()] = value.strip()
    return {name: _expand(body) for name, body in sections.items()}


def _expand(body):
    """把 ${键} 换成同一段内的值；循环引用会被识别出来。"""

    def resolve(key, trail):
        if key in trail:
            raise ConfigError("循环引用：" + " → ".join(trail + (key,)))
        if key not in body:
            raise ConfigError(f"引用了不存在的键 {key}")
        return _REFERENCE.sub(lambda m: resolve(m[1], trail + (key,)), body[key])

    return {key: resolve(key, ()) for key in body}


if __name__ == "__main__":
    demo = """
    [base]
    root = /srv/atlas
    cache = ${root}/cache
    [night:base]
    ; 夜间任务改用另一块磁盘
    root = /mnt/slow
    tint = #203040
    """
    for section, values in load(demo).items():
        print(section, values)
