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
                    row.aim.map { decimal($0, 1) } ?? "", row.aim.map { row.ratio <= $0 ? " met" : " NOT MET" } ?? "",
                ], widths))
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

func milliseconds(_ nanoseconds: UInt64) -> String { decimal(Double(nanoseconds) / 1e6, 2) + " ms" }

func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let whole = Int((value * scale).rounded())
    let fraction = String(whole % Int(scale))
    return "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}
