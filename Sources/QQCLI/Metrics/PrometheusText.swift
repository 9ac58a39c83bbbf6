/// Writes the text format of Prometheus, version 0.0.4 (prometheus.io, "Exposition formats").
struct PrometheusText {
    typealias Labels = [(label: MetricLabel, value: String)]

    private(set) var text = ""

    /// Begins a metric, whose samples follow.
    mutating func begin(_ name: String, type: String, help: String) {
        text += "# HELP \(name) \(Self.escaped(help))\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: Labels, _ value: Double) { line(name, Self.text(of: labels), value) }

    mutating func histogram(_ name: String, _ labels: Labels, _ durations: DurationHistogram) {
        let labels = Self.text(of: labels)
        for (bound, count) in zip(DurationHistogram.bounds, durations.buckets) {
            line(name + "_bucket", labels + ",le=\"\(bound)\"", Double(count))
        }
        line(name + "_bucket", labels + ",le=\"+Inf\"", Double(durations.count))
        line(name + "_sum", labels, durations.sum.seconds)
        line(name + "_count", labels, Double(durations.count))
    }

    private mutating func line(_ name: String, _ labels: String, _ value: Double) {
        text += "\(name){\(labels)} \(Self.number(value))\n"
    }

    private static func text(of labels: Labels) -> String {
        labels.map { "\($0.rawValue)=\"\(escaped($1, isQuoted: true))\"" }.joined(separator: ",")
    }

    /// A number as Go's ParseFloat reads it; a whole one without a fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map { String($0) } ?? "\(value)"
    }

    /// - Parameter isQuoted: whether quotes enclose the text, as they do the value of a label.
    static func escaped(_ text: String, isQuoted: Bool = false) -> String {
        var result = ""
        // By scalars, because a carriage return and a line feed are one character.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where isQuoted: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
