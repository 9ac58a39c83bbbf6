import QQCore

@testable import QQNATS

/// Any bytes as the output of a NATS server, as headers and as a credentials file: nothing crashes, the way in which the bytes are split
/// changes nothing, no more is held than the limits allow, and parsed values can be written and parsed again.
func fuzzNATSStream(_ data: [UInt8]) {
    guard data.count > 2 else { return }
    let bytes = Array(data.dropFirst(2))
    switch data[0] {
    case UInt8(ascii: "h"): checkHeaders(bytes)
    case UInt8(ascii: "c"): checkCredentials(bytes)
    case UInt8(ascii: "s"): checkStream(bytes, Limits(line: 40, payload: 60), seed: data[1])
    default:
        checkStream(bytes, Limits(line: NATSParser.defaultMaximumControlLine, payload: NATSParser.defaultMaximumPayload), seed: data[1])
    }
}

private struct Limits {
    var line: Int
    var payload: Int
}

/// Result of a stream: its operations, and the error that ended it.
private struct Outcome: Equatable {
    var operations: [ServerOperation] = []
    var failure: NATSError.Kind?
}

private func checkStream(_ bytes: [UInt8], _ limits: Limits, seed: UInt8) {
    let whole = outcome(bytes, limits) { bytes.count }
    var random = Random(state: UInt64(seed) << 32 | UInt64(bytes.count))
    for largest in [1, 3, 40, 1000] {
        let cut = outcome(bytes, limits) { 1 + Int(random.next() % UInt64(largest)) }
        if cut != whole { fail("is \(cut) in pieces of up to \(largest) bytes, not \(whole)", bytes) }
    }
    for case .message(_, let message) in whole.operations {
        if message.subject.isEmpty || message.payload.count > limits.payload { fail("has the message \(message)", bytes) }
        checkWritten(message.headers, bytes)
        if !Subject.matches(message.subject, ">") { fail("has a subject that no subscription matches: \(message.subject)", bytes) }
    }
}

private func outcome(_ bytes: [UInt8], _ limits: Limits, piece: () -> Int) -> Outcome {
    var parser = NATSParser(maximumControlLine: limits.line)
    parser.maximumPayload = limits.payload
    var outcome = Outcome()
    var start = 0
    while start < bytes.count {
        let end = min(start + max(piece(), 1), bytes.count)
        let before = parser.heldCount
        parser.append(bytes[start..<end])
        if parser.heldCount > before + end - start { fail("holds more than was appended", bytes) }
        start = end
        do {
            while let operation = try parser.next() { outcome.operations.append(operation) }
        } catch {
            outcome.failure = error.kind
            if (try? parser.next()) != nil { fail("goes on after it failed", bytes) }
            if parser.heldCount != 0 { fail("holds bytes after it failed", bytes) }
            return outcome
        }
        // Bytes that were parsed may still be held, but at the next append never more than the rest.
        if parser.waitingCount > max(limits.line, limits.payload) + 2 { fail("holds \(parser.waitingCount) bytes", bytes) }
    }
    return outcome
}

private func checkHeaders(_ bytes: [UInt8]) {
    if let headers = try? HeaderBlock.parse(bytes[...]) { checkWritten(headers, bytes) }
}

/// Checks that headers that can be sent are parsed back unchanged.
private func checkWritten(_ headers: NATSHeaders, _ bytes: [UInt8]) {
    guard let written = try? HeaderBlock.bytes(headers) else { return }
    if (try? HeaderBlock.parse(written[...])) != headers { fail("has headers that do not come back: \(headers)", bytes) }
}

private func checkCredentials(_ bytes: [UInt8]) {
    if let file = try? CredentialsFile(content: bytes, now: .goZero), file.jwt.isEmpty { fail("is credentials without a JWT", bytes) }
    _ = try? SeedFile(content: bytes)
    if let decoded = Base32.decode(bytes), Base32.decode(Base32.encode(decoded).utf8) != decoded {
        fail("is other base32 when written", bytes)
    }
    if let decoded = Base64URL.decode(bytes), Base64URL.decode(Base64URL.encode(decoded).utf8) != decoded {
        fail("is other base64 when written", bytes)
    }
}

/// A small generator of the same numbers in every run.
private struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
