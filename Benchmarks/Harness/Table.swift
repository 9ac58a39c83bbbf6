import Glibc

/// A comparison of two medians.
struct Row {
    var measured: String
    var time: UInt64
    var comparedWith: String
    var otherTime: UInt64
    var aim: Double?

    init(_ measured: String, _ time: UInt64, _ comparedWith: String, _ otherTime: UInt64, aim: Double? = nil) {
        self.measured = measured
        self.time = time
        self.comparedWith = comparedWith
        self.otherTime = otherTime
        self.aim = aim
    }

    var ratio: Double { Double(time) / Double(max(otherTime, 1)) }
}

func show(_ rows: [Row]) {
    let widths = [-30, 9, -1, -36, 9, 7, 5, -8]
    print(aligned(["qq", "median", "", "compared with", "median", "ratio", "aim", " "], widths))
    for row in rows {
        print(
            aligned(
                [
                    row.measured, milliseconds(row.time), "", row.comparedWith, milliseconds(row.otherTime), decimal(row.ratio, 2),
                    row.aim.map { decimal($0, 2) } ?? "", row.aim.map { row.ratio <= $0 ? " met" : " NOT MET" } ?? "",
                ], widths))
    }
}

/// A measured value of its own, compared with an aim if there is one.
struct Figure {
    var measured: String
    var value: String
    /// The aim, and whether it is reached.
    var aim: (text: String, isMet: Bool)?

    init(_ measured: String, _ value: String, aim: (text: String, isMet: Bool)? = nil) {
        self.measured = measured
        self.value = value
        self.aim = aim
    }

    /// The median and the worst of some times.
    init(_ measured: String, _ times: [UInt64], aim: UInt64? = nil) {
        let middle = median(times)
        self.init(
            measured, "\(milliseconds(middle)) (worst \(milliseconds(times.max() ?? 0)), \(times.count) rounds)",
            aim: aim.map { ("at most " + milliseconds($0), middle <= $0) })
    }
}

func show(_ figures: [Figure]) {
    let widths = [-(figures.map(\.measured.count).max() ?? 0), -(figures.map(\.value.count).max() ?? 0), -18, -8]
    for figure in figures {
        print(
            aligned(
                [figure.measured, figure.value, figure.aim?.text ?? "", figure.aim.map { $0.isMet ? "met" : "NOT MET" } ?? ""], widths))
    }
}

/// Columns of these widths. A column of negative width is aligned to the left.
func aligned(_ columns: [String], _ widths: [Int]) -> String {
    zip(columns, widths).map { text, width in
        let space = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? text + space : space + text
    }.joined(separator: " ")
}

func median(_ values: [UInt64]) -> UInt64 {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// Processor time in seconds a minute, of clock ticks within a time.
func perMinute(_ ticks: UInt64, of seconds: Int) -> String {
    decimal(Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) * 60 / Double(seconds), 2)
}

func perSecond(_ count: Int, of seconds: Int) -> String { decimal(Double(count) / Double(seconds), 1) }

func milliseconds(_ nanoseconds: UInt64) -> String { decimal(Double(nanoseconds) / 1e6, 2) + " ms" }

func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let whole = Int((value * scale).rounded())
    let fraction = String(whole % Int(scale))
    return "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}
