import QQCore
import QQListen
import QQVIP

import struct LeaderElection.BackoffRange

/// Parsers for the values of flags. An error describes only the text; the parser puts the flag before it.
enum Values {
    /// A duration, zero included.
    static func duration(_ text: String) throws(UsageError) -> Duration {
        do {
            return try DurationText.parse(text)
        } catch {
            throw UsageError("not a duration: \(error.reason)", hint: "write it with units, such as 500ms, 15s, 2m or 1h30m")
        }
    }

    /// A duration greater than zero.
    static func positiveDuration(_ text: String) throws(UsageError) -> Duration {
        let duration = try duration(text)
        guard duration > .zero else { throw UsageError("must be longer than 0s", hint: "write a duration such as 500ms, 15s, 2m or 1h30m") }
        return duration
    }

    /// A duration of at least `shortest`, so that whatever it times does not become a busy loop.
    static func duration(atLeast shortest: Duration) -> @Sendable (String) throws(UsageError) -> Duration {
        { (text: String) throws(UsageError) -> Duration in
            let duration = try positiveDuration(text)
            guard duration >= shortest else {
                throw UsageError(
                    "must be at least \(DurationText.format(shortest))", hint: "write a duration such as 500ms, 15s, 2m or 1h30m")
            }
            return duration
        }
    }

    /// A whole number within bounds.
    static func number<Number: FixedWidthInteger & Sendable>(
        _ bounds: ClosedRange<Number>
    ) -> @Sendable (String) throws(UsageError) -> Number {
        { (text: String) throws(UsageError) -> Number in
            let unsigned = bounds.lowerBound < 0 && text.hasPrefix("-") ? text.dropFirst() : text[...]
            let digits = unsigned.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            if digits, let number = Number(text), bounds.contains(number) { return number }
            let range = bounds.upperBound == .max ? "of at least \(bounds.lowerBound)" : "from \(bounds.lowerBound) to \(bounds.upperBound)"
            throw UsageError("not a whole number \(range)")
        }
    }

    /// A number within bounds in decimal notation.
    static func decimal(_ bounds: ClosedRange<Double>) -> @Sendable (String) throws(UsageError) -> Double {
        { (text: String) throws(UsageError) -> Double in
            let plain = text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            if plain, let number = Double(text), bounds.contains(number) { return number }
            throw UsageError("not a number from \(Int(bounds.lowerBound)) to \(Int(bounds.upperBound))")
        }
    }

    /// A number from a millionth to a million, in decimal notation.
    static func factor(_ text: String) throws(UsageError) -> Double {
        guard let number = try? decimal(0...1_000_000)(text), number >= 0.000001 else {
            throw UsageError("not a number from 0.000001 to 1000000")
        }
        return number
    }

    /// Any text that is not empty.
    static func text(_ text: String) throws(UsageError) -> String {
        guard !text.isEmpty else { throw UsageError("must not be empty") }
        return text
    }

    /// An identity: 1 to 256 bytes without control characters, which every system can store.
    static func identity(_ text: String) throws(UsageError) -> String {
        guard (1...256).contains(text.utf8.count) else {
            throw UsageError("an identity has 1 to 256 bytes, this one has \(text.utf8.count)")
        }
        guard !text.unicodeScalars.contains(where: \.isControl) else { throw UsageError("an identity cannot contain control characters") }
        return text
    }

    /// A note, which every reader can show as it is.
    static func note(_ text: String) throws(UsageError) -> String {
        if let problem = Note.problem(with: text) { throw UsageError(problem) }
        return text
    }

    /// A virtual IP address with its mask and interface.
    static func virtualAddress(_ text: String) throws(UsageError) -> VirtualAddress {
        do { return try VirtualAddress.parse(text) } catch { throw UsageError(error.reason, hint: error.hint) }
    }

    /// An address to listen on.
    static func listenAddress(_ text: String) throws(UsageError) -> ListenAddress {
        do { return try ListenAddress.parse(text) } catch { throw UsageError(error.reason, hint: error.hint) }
    }

    /// One of an enumeration's words.
    static func choice<Choice: Word>(_ text: String) throws(UsageError) -> Choice {
        if let choice = Choice(rawValue: text) { return choice }
        let words = Choice.words
        throw UsageError("not one of \(words.joined(separator: ", "))", hint: Suggestion.hint(for: text, among: words))
    }
}

/// An enumeration whose cases are typed as words.
protocol Word: RawRepresentable<String>, CaseIterable, Sendable {}

extension Word {
    /// The words that can be typed.
    static var words: [String] { allCases.map(\.rawValue) }
}

/// When output is coloured.
enum ColorChoice: String, Word { case auto, always, never }

/// How `acquire` prints a grant.
enum GrantFormat: String, Word { case text, shell, json }

/// How long `acquire` waits for its turn.
enum WaitLimit: Sendable, Equatable {
    /// `--wait`: until granted or interrupted.
    case forever
    /// `--wait=DURATION`.
    case atMost(Duration)

    static func parse(_ text: String) throws(UsageError) -> WaitLimit { .atMost(try Values.duration(text)) }
}

/// The first and the longest pause between tries: `200ms..5s`.
extension BackoffRange {
    /// The range as the user types it.
    var text: String { "\(DurationText.format(initial))..\(DurationText.format(maximum))" }

    static func parse(_ text: String) throws(UsageError) -> BackoffRange {
        let bytes = Array(text.utf8)
        let dot = UInt8(ascii: ".")
        guard let split = bytes.indices.dropLast().first(where: { bytes[$0] == dot && bytes[$0 + 1] == dot }) else {
            throw UsageError("not a range INITIAL..MAX", hint: "write the first and the longest pause, such as 200ms..5s")
        }
        let initial = try Values.duration(atLeast: Defaults.shortestBackoff)(String(decoding: bytes[..<split], as: UTF8.self))
        let maximum = try Values.positiveDuration(String(decoding: bytes[(split + 2)...], as: UTF8.self))
        guard initial <= maximum else { throw UsageError("the first pause is longer than the longest") }
        return BackoffRange(initial: initial, maximum: maximum)
    }
}

/// The condition that ends `watch --until`.
enum WatchCondition: Sendable, Equatable {
    /// There is a leader.
    case led
    /// There is no leader.
    case free
    /// This identity leads.
    case mine
    /// The leader is not the one seen first.
    case changed
    /// The given identity leads.
    case leader(String)

    /// The words that completion offers; the user adds an identity to `leader=`.
    static let words = ["led", "free", "mine", "changed", "leader="]

    static func parse(_ text: String) throws(UsageError) -> WatchCondition {
        switch text {
        case "led": return .led
        case "free": return .free
        case "mine": return .mine
        case "changed": return .changed
        default:
            if text.hasPrefix("leader=") { return .leader(try Values.identity(String(text.dropFirst("leader=".count)))) }
            throw UsageError("not one of led, free, mine, changed, leader=ID", hint: Suggestion.hint(for: text, among: words))
        }
    }
}
