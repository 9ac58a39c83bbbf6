/// `value` in the shortest digits that read back as the same number, or "null" if it is not finite.
///
/// The notation is ECMAScript's `Number::toString`, which Go's `encoding/json` follows too: plain from 1e-6 up to below 1e21, with an
/// exponent otherwise.
func jsonText(of value: Double) -> String {
    guard value.isFinite else { return "null" }
    if value == 0 { return value.sign == .minus ? "-0" : "0" }
    let (digits, point) = shortestDigits(of: value.magnitude)
    let sign = value < 0 ? "-" : ""
    guard value.magnitude >= 1e-6, value.magnitude < 1e21 else {
        let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
        let exponent = point - 1
        return sign + digits.prefix(1) + fraction + (exponent < 0 ? "e-" : "e+") + String(exponent.magnitude)
    }
    if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
    if point >= digits.count { return sign + digits + String(repeating: "0", count: point - digits.count) }
    return sign + digits.prefix(point) + "." + digits.dropFirst(point)
}

/// The significant digits of a positive number, without zeros at either end, and the position of the decimal point: value = 0.DIGITS × 10^point.
///
/// Swift's own description has the shortest digits, but in another notation.
private func shortestDigits(of value: Double) -> (digits: String, point: Int) {
    var digits: [UInt8] = []
    var point: Int?
    var exponent = 0
    let text = Array(value.description.utf8)
    let exponentMark = text.firstIndex(of: UInt8(ascii: "e")) ?? text.endIndex
    for byte in text[..<exponentMark] {
        if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
    }
    if exponentMark < text.endIndex {
        exponent = Int(String(decoding: text[(exponentMark + 1)...], as: UTF8.self)) ?? 0
    }
    let integerDigits = point ?? digits.count
    let leadingZeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
    digits.removeFirst(leadingZeros)
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    return (String(decoding: digits, as: UTF8.self), integerDigits - leadingZeros + exponent)
}
