"""A release as data: what runs is in Postgres, written by whoever may call the API; only the steps are code.

hookline dev examples.release.definition:app
hookline definitions apply examples/release/release.yaml
hookline send github push --file examples/payloads/push.json --secret ...
"""

from examples.release import steps

from hookline import App

app = App()
app.step(steps.build)
app.step(steps.test)
app.step(steps.ship)
app.step(steps.clean_up)
