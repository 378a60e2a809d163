"""Read comma-separated text one character at a time with a tiny state machine."""

START, PLAIN, QUOTED, AFTER_QUOTE = range(4)


class MalformedCsv(ValueError):
    pass


def parse(text, sep=","):
    """Yield one list of strings per record; quoted fields may span lines."""
    record, field, state, line = [], [], START, 1

    for ch in text.replace("\r\n", "\n"):
        if ch == "\n":
            line += 1
        if state == QUOTED:
            if ch == '"':
                state = AFTER_QUOTE
            else:
                field.append(ch)
        elif ch == '"' and state == START:
            state = QUOTED
        elif ch == '"' and state == AFTER_QUOTE:
            field.append('"')            # a doubled quote stands for itself
            state = QUOTED
        elif ch in (sep, "\n"):
            record.append("".join(field))
            field, state = [], START
            if ch == "\n":
                yield record
                record = []
        elif state == AFTER_QUOTE:
            raise MalformedCsv(f"line {line}: {ch!r} after a closing quote")
        else:
            field.append(ch)
            state = PLAIN

    if state == QUOTED:
        raise MalformedCsv("the text ends inside a quoted field")
    if record or field or state != START:   # the last line had no newline
        record.append("".join(field))
        yield record


def as_dicts(text, sep=","):
    rows = parse(text, sep)
    header = next(rows, [])
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise MalformedCsv(f"record {number}: {len(row)} fields, not {len(header)}")
        yield dict(zip(header, row))


if __name__ == "__main__":
    sample = 'boat,skipper,remark\nHeron,Ines,"leaks, ""a little"""\nTern,Abe,"two\nlines"\n'
    for entry in as_dicts(sample):
        print(entry)
