import QQCore

/// qq-metrics(5).
enum MetricsManual {
    private static let examples = [
        Example(
            "For the textfile collector of the node exporter",
            "qq keepalive web --metrics-file /var/lib/node_exporter/qq-web.prom"),
        Example("The lost terms of an election", "grep '^qq_losses_total{election=\"web\"' qq-web.prom"),
    ]

    private static let file = """
        `--metrics-file` *FILE* writes the metrics of one process, every \(DurationText.format(Defaults.metricsEvery)) and at its end, for a collector of \
        text files such as the node exporter's. Every command and every system has it. The file is replaced as a whole, so that a reader sees all of \
        it or the version before. Give each process a file of its own. `keepalive` and `acquire` answer requests for the same metrics over HTTP with \
        `--listen` *ADDRESS*: `GET /metrics`.

        Leases are renewed even if the file system hangs. Writes are left out until it answers, and the last one is given up after \
        \(DurationText.format(Defaults.lastMetricsLimit)).

        A session (`qq repl`) writes one file for all its lines. A guarded command that it starts is a process of its own, whose metrics are in the file \
        that its own line names.

        After its end a process leaves the last values, with 0 for `qq_leading`. A process that is killed leaves values that are no longer true: the age \
        of the file shows it.
        """

    private static let meaning = """
        Times are counted on a clock that includes suspend and is never set, and are those at the moment of writing. `qq_leading` becomes 0 when the \
        lease is over by that clock, even if no server could be asked.

        A term is lost if its lease expires, or another process takes it. Releasing it is no loss, also at the request of another process. A guarded \
        command that is ended because its lease was not renewed in time counts as a loss, although the lease can still be released afterwards.

        A request is one thing that `qq` asks of a system, such as a renewal, even if it takes several messages to servers. An acquire that is \
        refused because another process leads is answered, and no failure. Watches are not requests. The operation `renew` of \
        `qq_request_duration_seconds` is the latency of renewals.

        The series of elections exist from the start of a campaign, and those of `acquire`, `renew` and `release` with them; other operations have \
        series from their first request on. An election is named as on the command line, so the number of series does not grow.
        """

    private static let rules = """
        `packaging/prometheus/qq.rules.yml` in the source of `qq` contains rules for alerts: an election without a leader, a lease about to expire, failing or \
        slow renewals, losses, an election that changes hands again and again, a system that does not answer, and a file that is no longer written. \
        Check them with `promtool check rules`, and the metrics with `promtool check metrics`.
        """

    static let page = ManPage(
        name: "qq-metrics", section: 5, summary: "the metrics of qq",
        sections: [
            .init(
                "DESCRIPTION",
                [.text("`qq` shows its elections and requests as metrics in the text format of Prometheus, version 0.0.4."), .text(file)]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init("METRICS", MetricFamily.all.map { .term("`\($0.name)`", $0.description) }),
            .init("LABELS", MetricLabel.allCases.map { .term("`\($0.rawValue)`", $0.meaning) }),
            .init("MEANING", [.text(meaning)]),
            .init("ALERTS", [.text(rules)]),
            .init("SEE ALSO", [.text("qq(1), qq-keepalive(1), qq-acquire(1), qq-json(5)")]),
        ])
}

extension MetricFamily {
    /// The metric for the manual: kind, labels, meaning.
    fileprivate var description: String {
        var start = kind.rawValue.prefix(1).uppercased() + kind.rawValue.dropFirst()
        start += labels.count == 1 ? " with the label " : " with the labels "
        return start + Systems.list(labels.map { "`\($0.rawValue)`" }) + ". " + help
    }
}
