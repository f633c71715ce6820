"""What is read from a frame of the stream, and what is only counted."""

import json

import pytest

from trading_assets.bars.stream.messages import parse_frame
from trading_assets_tests.bars.stream.stream_truth import at


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"T":"b"}', "no array"),
        ("[7]", "no object"),
        ('[{"T":{}}]', "unknown kind"),
        ('[{"T":"b","S":"IBM"}]', "o is no finite number"),
        ('[{"T":"b","o":true}]', "o is no finite number"),
        ('[{"T":"b","o":1e999}]', "o is no finite number"),
        (f'[{{"T":"b","o":{"9" * 400}}}]', "o is no finite number"),
        ('[{"T":"b","o":1,"h":1,"l":1,"c":1,"v":1,"S":7}]', "S is no text"),
        ('[{"T":"b","o":1,"h":1,"l":1,"c":1,"v":1,"S":"A","t":"yesterday"}]', "t is no time"),
        ('[{"T":"b","o":1,"h":1,"l":1,"c":1,"v":1,"S":"A","t":"2024-03-04"}]', "t is no time"),
        ('[{"T":"error","code":"x"}]', "code is no finite number"),
        ('[{"T":"success"}]', "msg is no text"),
    ],
)
def test_an_unreadable_message_is_counted_by_reason(text: str | bytes, reason: str) -> None:
    frame = parse_frame(text)
    ((counted, count),) = frame.malformed.items()
    assert counted.startswith(reason)
    assert count == 1
    assert not frame.has_market_data


def test_an_unreadable_message_leaves_the_rest_of_its_frame() -> None:
    good = {"T": "b", "S": "IBM", "o": 1, "h": 2, "l": 1, "c": 2, "v": 9}
    frame = parse_frame(json.dumps([7, {**good, "t": "2024-03-04T15:00:00.000000000Z"}, {"T": 1}]))
    (message,) = frame.bars
    assert (message.start, message.volume, message.trades) == (at(10, 0), 9, 0)
    assert frame.malformed.total() == 2
