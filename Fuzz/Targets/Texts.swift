import QQCore

@testable import QQCLI
@testable import QQREPL

/// Any bytes as a recording of `watch`: the recording is refused, or can be shown.
func fuzzRecording(_ bytes: [UInt8]) {
    guard let recording = try? Recording(bytes, path: "fuzz") else { return }
    var states: [ElectionState] = []
    for entry in recording.entries.prefix(50) { if case .change(let change) = entry.event { states.append(change.state) } }
    checkShown(states, at: StandingClock.moment)
    if let first = recording.entries.first?.time {
        for entry in recording.entries { _ = StandingClock.moment + max(entry.time - first, .zero) }
    }
}

/// A line that is typed in a session, up to the cursor, and after a NUL a word that completion inserts there. The resulting line is parsed
/// as the typed words and that word.
func fuzzSessionLine(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let line = String(decoding: parts.first ?? [], as: UTF8.self)
    let name = String(decoding: parts.count > 1 ? parts[1] : [], as: UTF8.self)
    _ = try? CommandLine(line) { _ in "value" }
    let words = CommandLine.unfinished(line)
    _ = CompletionSource.isOffered(name)
    let open = CommandLine.lenient(line).quote
    // There are no words after & and #.
    guard open == nil, words.last == "", !line.unicodeScalars.contains(where: { $0 == "#" || $0 == "&" }),
        (try? CommandLine(line) { _ in "value" })?.words.count == words.count - 1
    else { return }
    if name.isEmpty { return }
    guard let text = Insertion(line, line.utf8.count).text(of: name) else { fail("is not inserted", bytes) }
    guard let read = try? CommandLine(line + text, variable: { _ in "value" }) else { fail("cannot be read: \(line + text)", bytes) }
    if read.words.last.map({ Array($0.utf8) }) != Array(name.utf8) { fail("reads as \(read.words)", bytes) }
}

/// Texts of all kinds: a parsed value can be written, and is then parsed as the same.
func fuzzText(_ bytes: [UInt8]) {
    if let value = try? JSONValue.parse(bytes) {
        for style in [JSONWriter.Style.compact, .indented, .goIndented] {
            let written = JSONWriter.bytes(value, style: style)
            guard let again = try? JSONValue.parse(written) else { fail("is written as no JSON", bytes) }
            if JSONWriter.bytes(again, style: style) != written { fail("is other JSON when written", bytes) }
        }
        if let number = value.doubleValue { _ = DurationText.brief(.seconds(saturating: number)) }
        _ = (value.int64Value, value.uint64Value)
    }
    let text = String(decoding: bytes, as: UTF8.self)
    if let duration = try? DurationText.parse(text), (try? DurationText.parse(DurationText.format(duration))) != duration {
        fail("is another duration when written", bytes)
    }
    if let time = try? WallTime.parse(rfc3339: text), (try? WallTime.parse(rfc3339: time.rfc3339Nano)) != time {
        fail("is another time when written", bytes)
    }
    if let url = try? Systems.url(text), (try? Systems.url(url.description))?.description != url.description {
        fail("is another URL when written: \(url)", bytes)
    }
    if let decoded = Percent.decode(bytes), Percent.decode(Percent.encode(decoded).utf8) != decoded {
        fail("is another text when escaped", bytes)
    }
    if let slot = Slot(name: text), slot.name != text || !Slot.all(slot.count, of: slot.election).contains(slot) {
        fail("is another slot when written: \(slot)", bytes)
    }
    if Printable.text(text).unicodeScalars.contains(where: { $0.value < 0x20 }) { fail("writes to the terminal", bytes) }
}

/// A clock that stands still, a day after the machine started.
struct StandingClock: LeaseClock {
    static let moment = BootInstant(nanoseconds: 86_400_000_000_000)

    func now() -> BootInstant { Self.moment }
    func sleep(until deadline: BootInstant) async throws {}
}
