#!/usr/bin/env python3
"""Writes dashboards/*.json.

    python3 deploy/grafana/generate.py

`tests/python/check_prometheus.py` fails where the files are not what this writes, and `check_dashboards.py` runs every query.
"""

import pathlib

from panels import dashboard, heat, query, series, stat, table, text

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"

RATE = "[$__rate_interval]"


def quantiles(metric, by="", selector="", shares=(0.5, 0.99)):
    """The usual lines of a histogram."""
    also = f", {by}" if by else ""
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        query(f"histogram_quantile({share}, sum by (le{also}) (rate({metric}_bucket{selector}{RATE})))", f"p{share * 100:g}{legend}")
        for share in shares
    ]


def total(metric, by="", selector="", legend=""):
    """A rate, by one label."""
    if not by:
        return query(f"sum(rate({metric}{selector}{RATE}))", legend or "all")
    return query(f"sum by ({by}) (rate({metric}{selector}{RATE}))", legend or " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",")))


def counted(metric, by, selector="", legend=""):
    """How many in each step of the picture."""
    return query(f"sum by ({by}) (increase({metric}{selector}{RATE}))", legend or f"{{{{{by}}}}}")


def happened(metric, by, selector, legend=""):
    """How many, of what is counted from its first time on: a series that was not there before counts with all that it has."""
    counted_series = f"{metric}{selector}"
    return query(f"sum by ({by}) (increase({counted_series}{RATE}) > 0 or ({counted_series} unless {counted_series} offset $__rate_interval))", legend or " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(",")))


def or_none(expression, label):
    """The expression, or a zero called none where nothing ever happened."""
    return f'{expression} or on () label_replace(vector(0), "{label}", "none", "", "")'


JOB = '{job="curfew"}'
GOOD_ZERO = ((None, "green"), (1, "red"))

GRANTS = dashboard("curfew-grants", "Curfew · Grants", "What people asked for, what they have, and how long it took.", [
    ("Now", [
        stat("Active grants", "Requests whose binding is in a policy.", "short", "sum(curfew_grants_active)"),
        stat("Waiting for a peer", "Requests that nobody has approved or denied yet.", "short", 'sum(curfew_requests{phase="AWAITING_APPROVAL"})'),
        stat("Being activated", "Approved, and the binding not written yet. More than a few for more than a minute is trouble.", "short", 'sum(curfew_requests{phase="ACTIVATING"})', (None, "green"), (20, "orange"), runbook="CurfewGrantsLate"),
        stat("Being ended", "Over, and not proven gone yet.", "short", 'sum(curfew_requests{phase="ENDING"})', (None, "green"), (20, "orange"), runbook="CurfewRemovalsLate"),
        stat("Oldest overdue", "How long the oldest access is over and not proven gone. Nothing here means that no controller reports.", "s", "max(curfew_oldest_overdue_binding_seconds)", (None, "green"), (60, "orange"), (180, "red"), runbook="CurfewAccessOverdue"),
        stat("Eligible bindings", "What people may ask for, in the index of the lists.", "short", "max(curfew_eligible_bindings)"),
    ]),
    ("Requests", [
        series("Live requests by phase", "Each request stands in one phase.", "short", query("sum by (phase) (curfew_requests)", "{{phase}}"), stacked=True, width=12),
        series("Requests over, by outcome", "How requests ended. DURATION_ELAPSED is the usual way.", "short", counted("curfew_requests_total", "outcome"), stacked=True, width=12),
    ]),
    ("How long it takes", [
        heat("Filed to access, all of them", "Requests that need no approval and start at once: from filing to the binding in the policy.", "s", f"sum by (le) (increase(curfew_request_to_active_seconds_bucket{RATE}))"),
        series("Filed to access", "The same as quantiles.", "s", *quantiles("curfew_request_to_active_seconds"), width=12),
        series("Approved to access", "From the moment at which all is there to decide. The level: 99 % within 30 s.", "s", *quantiles("curfew_approved_to_active_seconds"), limit=30, logarithmic=True, runbook="CurfewGrantsLate"),
        series("Ended to gone", "From the end of access to the proof that nothing is left, by what ended it. Levels: natural 60 s, revoked 15 s.", "s", *quantiles("curfew_removal_lag_seconds", "cause", shares=(0.99,)), limit=60, logarithmic=True, runbook="CurfewRemovalsLate"),
        series("Wait for approval", "From filing to the last approval that was needed. People take this long, not Curfew.", "s", *quantiles("curfew_approval_wait_seconds")),
    ]),
    ("Pages and API", [
        series("Requests by route", "Calls of intake.", "reqps", total("http_request_duration_seconds_count", "route", JOB)),
        series("Answers by code", "5xx are intake's own failures; 4xx are refusals.", "reqps", total("http_request_duration_seconds_count", "code", JOB), stacked=True, runbook="CurfewIntakeErrors"),
        series("Slowest routes", "99 % are answered within this time.", "s", query(f"topk(8, histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket{JOB}{RATE}))))", "{{route}}"), limit=2.5, logarithmic=True),
        series("Age of the lists", "When what people may ask for was last read. Grants are judged on live policies.", "s", query("max by (instance) (curfew_eligibility_snapshot_age_seconds)", "{{instance}}"), limit=900, runbook="CurfewListsStale"),
        series("Refresh of the lists", "How long it takes.", "s", *quantiles("curfew_eligibility_refresh_seconds")),
        series("Flawed eligible bindings", "Bindings that bear a marker and make nobody eligible: their condition cannot be carried.", "short", query("max(curfew_eligible_bindings_flawed)", "flawed"), query("sum(increase(curfew_eligibility_refresh_failures_total[1h]))", "failed refreshes in 1 h")),
    ]),
])

CONTROLLER = dashboard("curfew-controller", "Curfew · Controller", "The queue, its workers, what they read, and the process.", [
    ("Now", [
        stat("Controllers", "Processes that report. Nothing here is an alert.", "short", f"count(workqueue_depth{JOB})", (None, "red"), (1, "green"), runbook="CurfewControllerAbsent"),
        stat("Waiting", "Requests that wait for a worker.", "short", f"sum(workqueue_depth{JOB})", (None, "green"), (100, "orange"), runbook="CurfewQueueSlow"),
        stat("Longest at work", "Age of the oldest pass under way.", "s", f"max(workqueue_longest_running_processor_seconds{JOB})", (None, "green"), (30, "orange"), (120, "red"), runbook="CurfewQueueStuck"),
        stat("Last whole read", "Since the last successful read of all live requests began; usually under a minute.", "s", "max(curfew_last_resync_age_seconds)", (None, "green"), (120, "orange"), (180, "red"), runbook="CurfewStoreUnreadable"),
        stat("Silence of the watch", "Since the store last said anything; a healthy one speaks every minute.", "s", "max(curfew_watch_last_event_age_seconds)", (None, "green"), (90, "orange"), (120, "red"), runbook="CurfewWatchStale"),
        stat("Clock", "This clock minus the store's. From 2 s on nothing is begun.", "s", "max(abs(curfew_clock_skew_seconds))", (None, "green"), (0.5, "orange"), (1, "red"), runbook="CurfewClockSkew", decimals=3),
    ]),
    ("Queue", [
        series("Added and tried again", "Requests queued, and those that come back after a failure.", "ops", total("workqueue_adds_total", selector=JOB, legend="added"), total("workqueue_retries_total", selector=JOB, legend="tried again")),
        series("Depth", "Requests that wait for a worker.", "short", query(f"max by (instance) (workqueue_depth{JOB})", "{{instance}}"), runbook="CurfewQueueSlow"),
        series("Wait for a worker", "How long a request waits. Revocations go first.", "s", *quantiles("workqueue_queue_duration_seconds", selector=JOB), limit=15, logarithmic=True, runbook="CurfewQueueSlow"),
        series("Time of a pass", "How long a worker takes for one request, look-ups included.", "s", *quantiles("workqueue_work_duration_seconds", selector=JOB)),
        series("Workers", "Busy, of those there are. All busy for long: something that all of them need is slow.", "short", query(f"sum(controller_runtime_active_workers{JOB})", "busy"), query(f"sum(controller_runtime_max_concurrent_reconciles{JOB})", "all")),
        series("Work under way", "Seconds already spent on passes that are not finished.", "s", query(f"sum(workqueue_unfinished_work_seconds{JOB})", "unfinished"), query(f"max(workqueue_longest_running_processor_seconds{JOB})", "longest"), limit=120, runbook="CurfewQueueStuck"),
    ]),
    ("Passes and reads", [
        series("Passes by result", "requeue_after is a pass that waits for a time; error is one that backs off.", "ops", total("controller_runtime_reconcile_total", "result", JOB), stacked=True, runbook="CurfewPassesFail"),
        series("Failed passes", "Share of the passes that ended in a back-off.", "percentunit", query(f"sum(rate(controller_runtime_reconcile_errors_total{JOB}{RATE})) / sum(rate(controller_runtime_reconcile_total{JOB}{RATE}))", "failed"), limit=0.2, maximum=1, runbook="CurfewPassesFail"),
        series("Duration of a pass", "From taking a request to knowing when to look again.", "s", *quantiles("controller_runtime_reconcile_time_seconds", selector=JOB)),
        series("Whole reads", "How long the read of all live requests takes; once a minute.", "s", query("sum(rate(curfew_resync_duration_seconds_sum[5m])) / sum(rate(curfew_resync_duration_seconds_count[5m]))", "mean"), query("histogram_quantile(0.99, sum by (le) (rate(curfew_resync_duration_seconds_bucket[5m])))", "p99"), runbook="CurfewStoreUnreadable"),
        series("Events of the watch", "changed and gone are documents; current is the store's sign of life; interrupted is a stream that was cut.", "short", counted("curfew_watch_events_total", "kind"), stacked=True, runbook="CurfewWatchStale"),
        series("Ages", "Since the last whole read began, and since the watch last spoke.", "s", query("max by (instance) (curfew_last_resync_age_seconds)", "whole read {{instance}}"), query("max by (instance) (curfew_watch_last_event_age_seconds)", "watch {{instance}}"), limit=180),
    ]),
    ("Processes", [
        series("CPU", "Cores in use, of intake and controller.", "short", query(f"sum by (instance) (rate(process_cpu_seconds_total{JOB}{RATE}))", "{{instance}}")),
        series("Memory", "Resident.", "bytes", query(f"sum by (instance) (process_resident_memory_bytes{JOB})", "{{instance}}"), runbook="CurfewRestarting"),
        series("Open files", "Of those that the system allows.", "percentunit", query(f"max by (instance) (process_open_fds{JOB} / process_max_fds{JOB})", "{{instance}}"), limit=0.8, maximum=1),
        table("Versions", "What runs where.", "curfew_build_info", width=16),
        series("Up since", "Age of each process; a saw is a process that starts again and again.", "s", query(f"time() - max by (instance) (process_start_time_seconds{JOB})", "{{instance}}"), runbook="CurfewRestarting"),
    ]),
])

GOOGLE = '{job="curfew",code!="200"}'

CLIENTS = dashboard("curfew-clients", "Curfew · IAM and store clients", "Calls of Google's APIs, policy writes, and the embedded store.", [
    ("Policies", [
        series("Policy writes by result", "conflict is a lost race, read and tried again; denied is a missing permission.", "ops", total("curfew_policy_writes_total", "result"), stacked=True, runbook="CurfewPolicyWritesDenied"),
        series("Policy writes by kind", "add and remove bring and take access; fence proves that a late write cannot land.", "ops", total("curfew_policy_writes_total", "op"), stacked=True),
        series("Conflicts", "Writes that lost the race against another writer.", "ops", total("curfew_policy_conflicts_total", legend="conflicts"), limit=0.2, runbook="CurfewPolicyConflicts"),
        series("Requests per write", "How many requests share one policy write; more under load is what saves the quota.", "short", query(f"sum(rate(curfew_policy_batch_size_sum{RATE})) / sum(rate(curfew_policy_batch_size_count{RATE}))", "mean"), *quantiles("curfew_policy_batch_size", shares=(0.99,))),
        series("Room left", "Of the fullest policy that was read last.", "percentunit", query("min by (limit) (curfew_policy_headroom_ratio)", "{{limit}}"), maximum=1, runbook="CurfewPolicyAlmostFull"),
        series("Held back", "Grants that did not fit, and work put off because Google answered 429.", "short", counted("curfew_policy_full_total", "limit", legend="full: {{limit}}"), query(f"sum(increase(curfew_quota_wait_seconds_count{RATE}))", "put off for a quota"), runbook="CurfewPolicyFull"),
    ]),
    ("Google's APIs", [
        series("Calls by method", "Each attempt counts.", "reqps", total("rest_client_requests_total", "method", JOB), width=12),
        series("Duration by method", "99 % of the attempts take at most this.", "s", *quantiles("rest_client_request_duration_seconds", "method", JOB, shares=(0.99,)), width=12),
        series("Failures by code", "Anything but 200, each once; none is no whole answer. 404, 409 and 412 are part of the usual business.", "short", happened("rest_client_requests_total", "method, code", GOOGLE), width=12, runbook="CurfewGoogleErrors"),
        series("Share of failures", "5xx and no answer, by method.", "percentunit", query('(sum by (method) (rate(rest_client_requests_total{job="curfew",code=~"5..|none"}[5m])) or 0 * sum by (method) (rate(rest_client_requests_total{job="curfew"}[5m]))) / sum by (method) (rate(rest_client_requests_total{job="curfew"}[5m]))', "{{method}}"), limit=0.1, maximum=1, width=12, runbook="CurfewGoogleErrors"),
    ]),
    ("Embedded store: empty where Firestore is used", [
        series("Store calls by method", "What the store is asked for.", "reqps", total("firelite_calls_total", "method")),
        series("Store calls that did not end well", "FAILED_PRECONDITION and ALREADY_EXISTS are lost races; the others are trouble.", "short", happened("firelite_calls_total", "code", '{code!="OK"}'), runbook="CurfewEmbeddedStoreFails"),
        series("Store duration by method", "99 % take at most this; streams last as long as they live.", "s", *quantiles("firelite_call_duration_seconds", "method", '{method!="Listen"}', shares=(0.99,))),
        series("Commits to the disk", "A group of commits shares one flush.", "s", *quantiles("firelite_commit_duration_seconds"), limit=1, logarithmic=True, runbook="CurfewEmbeddedStoreSlow"),
        series("Commits per flush", "More under load is what keeps the disk free.", "short", query(f"sum(rate(firelite_commit_group_size_sum{RATE})) / sum(rate(firelite_commit_group_size_count{RATE}))", "mean")),
        series("Listeners and transactions", "Open now.", "short", query("sum(firelite_listeners)", "listeners"), query("sum(firelite_listen_targets)", "targets"), query("sum(firelite_transactions)", "transactions")),
        series("Documents", "Stored.", "short", query("sum(firelite_documents)", "documents")),
        series("Size of the file", "On disk.", "bytes", query("sum(firelite_database_bytes)", "file")),
        series("Expired and reset", "Transactions that nobody ended, and listeners that were told to begin anew.", "short", query("sum(increase(firelite_transactions_expired_total[5m]))", "expired transactions in 5 m"), query("sum(increase(firelite_listen_resets_total[5m]))", "reset listeners in 5 m")),
    ]),
])

SECURITY = dashboard("curfew-security", "Curfew · Security", "What should be zero, and what somebody tried.", [
    ("What should be zero", [
        stat("Unauthorised bindings", "Bindings that bear Curfew's mark and that no verified fact asks for.", "short", "max(curfew_unauthorised_bindings)", *GOOD_ZERO, runbook="CurfewUnauthorisedBinding"),
        stat("Forged documents, 24 h", "Parts of stored documents that did not verify.", "short", "round(sum(increase(curfew_forgery_rejections_total[24h])))", *GOOD_ZERO, runbook="CurfewForgedDocument"),
        stat("Foreign changes refused, 24 h", "The controller stopped itself from changing what is not Curfew's.", "short", "round(sum(increase(curfew_foreign_diff_refusals_total[24h])))", *GOOD_ZERO, runbook="CurfewForeignDiffRefused"),
        stat("Denied policy writes, 24 h", "IAM refused the controller.", "short", 'round(sum(increase(curfew_policy_writes_total{result="denied"}[24h])))', *GOOD_ZERO, runbook="CurfewPolicyWritesDenied"),
        stat("Not in the ledger, 24 h", "Refused acts that the ledger does not name, because too many came.", "short", "round(sum(increase(curfew_ledger_omitted_total[24h])))", *GOOD_ZERO, runbook="CurfewLedgerFlooded"),
        stat("Oldest overdue", "How long the oldest access is over and not proven gone.", "s", "max(curfew_oldest_overdue_binding_seconds)", (None, "green"), (60, "orange"), (180, "red"), runbook="CurfewAccessOverdue"),
    ]),
    ("The store and the policies, touched by others", [
        series("Forgeries by reason", "Why documents did not verify.", "short", counted("curfew_forgery_rejections_total", "reason"), width=12, runbook="CurfewForgedDocument"),
        series("Bindings changed by hand", "Bindings of live grants found gone (MISSING) or edited (ALTERED).", "short", counted("curfew_drift_total", "kind"), width=12, runbook="CurfewBindingsChanged"),
        series("Unauthorised bindings over time", "As last seen.", "short", query("max by (instance) (curfew_unauthorised_bindings)", "{{instance}}"), limit=1, width=12, runbook="CurfewUnauthorisedBinding"),
        series("Requests ended against somebody's will", "Revoked, denied, tampered with, removed by hand, or no longer eligible.", "short", counted("curfew_requests_total", "outcome", '{outcome=~"INVALID|REVOKED|DENIED|TAMPERED|EXTERNALLY_REMOVED|NO_LONGER_ELIGIBLE|INELIGIBLE"}'), stacked=True, width=12),
    ]),
    ("Doors", [
        series("Refusals of intake", "401: no valid assertion. 403: not allowed. 404: hidden or not there. 429: too many.", "short", happened("http_request_duration_seconds_count", "code", '{job="curfew",code=~"4.."}'), width=12),
        series("Refusals by Google", "Permissions that Curfew lacks; refusals of Directory and Cloud Identity are answers.", "short", query(or_none(happened("rest_client_requests_total", "method, code", '{job="curfew",code=~"401|403"}')["expr"], "method"), "{{method}} {{code}}"), width=12, runbook="CurfewGoogleDenies"),
    ]),
])


def level(name, title, what, target, good, runbook):
    """A row for one level: how well it is kept, what is left of the budget, how fast it goes."""
    budget = 1 - target
    late = f"curfew:{name}:ratio_rate"
    burn = [query(f"{late}{window} / {budget:g}", window) for window in ("5m", "1h", "6h", "3d")]
    return (title, [
        stat(f"{what} in time", "Over the time range of the page.", "percentunit", good, (None, "red"), (target, "green"), width=6, height=8, runbook=runbook, decimals=3),
        stat(f"Budget left: {what.lower()}", "Of what the level lets be late, over the time range of the page. Below zero, the level is missed.", "percentunit", f"1 - (1 - ({good})) / {budget:g}", (None, "red"), (0, "orange"), (0.25, "green"), width=6, height=8, runbook=runbook, decimals=1),
        series(f"Burn rate: {what.lower()}", "1 uses up the budget in just 30 days. Pages: above 14.4 over 1 h, or 6 over 6 h. Ticket: above 3 over 1 d, or 1 over 3 d.", "short", *burn, limit=14.4, width=12, runbook=runbook),
    ])


def share(metric, bound, selector="", failed=""):
    """What part of a histogram lies within a bound, over the time range of the page."""
    inside = f'{selector},le=~"{bound}|{bound}.0"' if selector else f'le=~"{bound}|{bound}.0"'
    whole = f"{{{selector}}}" if selector else ""
    return f"sum(increase({metric}_bucket{{{inside}}}[$__range])) / (sum(increase({metric}_count{whole}[$__range])){failed})"


FAILED = ' + sum(increase(curfew_requests_total{outcome="ACTIVATION_FAILED"}[$__range]))'

LEVELS = dashboard("curfew-levels", "Curfew · Service levels", "What is promised for 30 days: set the time range to 30 days for the budget.", [
    ("Alerts", [table("Firing now", "Empty is good.", or_none('ALERTS{alertname=~"Curfew.+",alertstate="firing"}', "alertname"), height=6)]),
    level("grants_late", "Approved to binding written: 99 % within 30 s", "Grants", 0.99, share("curfew_approved_to_active_seconds", 30, failed=FAILED), "CurfewGrantsLate"),
    level("removals_late", "Ended to removed: 99.9 % within 60 s", "Removals", 0.999, share("curfew_removal_lag_seconds", 60, 'cause="natural"'), "CurfewRemovalsLate"),
    level("revocations_late", "Revoked to removed: 99.9 % within 15 s", "Revocations", 0.999, share("curfew_removal_lag_seconds", 15, 'cause="revoked"'), "CurfewRevocationsLate"),
    ("No budget", [
        stat("Unauthorised bindings", "Must be zero, always.", "short", "max(max_over_time(curfew_unauthorised_bindings[$__range]))", *GOOD_ZERO, width=6, runbook="CurfewUnauthorisedBinding"),
        stat("Longest overdue", "No access that is over may stay longer than 300 s while the cloud can be reached.", "s", "max(max_over_time(curfew_oldest_overdue_binding_seconds[$__range]))", (None, "green"), (60, "orange"), (300, "red"), width=6, runbook="CurfewAccessOverdue"),
        stat("Intake's own errors", "Share of answers that were 5xx, over the time range of the page.", "percentunit", '(sum(increase(http_request_duration_seconds_count{job="curfew",code=~"5.."}[$__range])) or vector(0)) / sum(increase(http_request_duration_seconds_count{job="curfew"}[$__range]))', (None, "green"), (0.001, "orange"), (0.05, "red"), width=6, runbook="CurfewIntakeErrors", decimals=3),
        stat("Controllers that report", "Without one, every number above is old.", "short", f"count(workqueue_depth{JOB})", (None, "red"), (1, "green"), width=6, runbook="CurfewControllerAbsent"),
    ]),
])

DASHBOARDS = {"grants": GRANTS, "controller": CONTROLLER, "clients": CLIENTS, "security": SECURITY, "levels": LEVELS}


def files():
    """The text of each file, by its name."""
    return {f"{name}.json": text(value) for name, value in DASHBOARDS.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in files().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
