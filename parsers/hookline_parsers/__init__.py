"""The parsers that come with hookline: each turns one sender's webhooks into events.

A sender whose events differ by their names alone is called: `stripe("invoice.paid")`. The modules `github`, `gitlab`
and `slack` have a function for each kind of event: `github.push(branches=["main"])`.
"""

from hookline_parsers.alertmanager import alertmanager as alertmanager
from hookline_parsers.bitbucket import bitbucket as bitbucket
from hookline_parsers.cloudevents import cloudevents as cloudevents
from hookline_parsers.linear import linear as linear
from hookline_parsers.pagerduty import pagerduty as pagerduty
from hookline_parsers.shopify import shopify as shopify
from hookline_parsers.standard_webhooks import standard_webhooks as standard_webhooks
from hookline_parsers.stripe import stripe as stripe
