/// Writes the text format of Prometheus, version 0.0.4 (prometheus.io, "Exposition formats").
struct PrometheusText {
    /// A value of a label, by the label's name.
    typealias Labels = KeyValuePairs<String, String>

    private(set) var text = ""

    /// Begins a metric. Its samples follow.
    mutating func begin(_ name: String, type: String, help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: Labels, _ value: Double) { add(name, labels, Self.number(value)) }

    mutating func sample(_ name: String, _ labels: Labels, _ value: UInt64) { add(name, labels, String(value)) }

    private mutating func add(_ name: String, _ labels: Labels, _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escaped($1, quotes: true))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    /// A number as Go's ParseFloat reads it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    /// - Parameter quotes: whether the text is the value of a label, which quotes enclose.
    static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        // By scalars: a carriage return and a line feed are one character.
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
