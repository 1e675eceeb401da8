from hookline_acme import parser

from hookline.parsing import Sample, assert_parser_conforms


def test_it_does_what_is_asked_of_every_parser() -> None:
    body = b'{"id": "A7", "kind": "paid", "customer": "mona"}'
    assert_parser_conforms(parser, [Sample("order", body, type="acme.order.paid")])
