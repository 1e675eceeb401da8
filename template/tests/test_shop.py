from my_project.shop import parser

from hookline.parsing import Sample, assert_parser_conforms


def test_the_parser_does_what_is_asked_of_every_parser():
    body = b'{"id": "A7", "kind": "paid", "customer": "mona"}'
    assert_parser_conforms(parser, [Sample("order", body, type="shop.order.paid")])
