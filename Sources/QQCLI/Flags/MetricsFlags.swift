import QQCore

/// Flags that show the metrics of this process.
extension Flags {
    static let metricsFile = Flag<String>(
        "metrics-file", value: "FILE", kind: .file, group: .output,
        help: "Keep metrics in FILE",
        more: """
            Write the metrics of this process to this file in the text format of Prometheus, every \(DurationText.format(Defaults.metricsEvery)) and at \
            the end, on every system. They show which elections this process leads, its terms and losses, the time until each lease expires, and its \
            requests; see qq-metrics(5). Each time the file is replaced as a whole. A failure to write it is reported and has no other effect.
            """,
        parse: Values.text)
}
