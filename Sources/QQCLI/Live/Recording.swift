import Glibc
import QQCore

/// The events that ``Recorder`` wrote, read back.
struct Recording: Sendable {
    /// A line of a recording.
    struct Entry: Sendable {
        enum Event: Sendable {
            case change(Change)
            case connection(ConnectionEvent)
        }

        let time: WallTime
        let event: Event
        /// The line as it is in the file.
        let json: JSONValue
        let server: String
    }

    var entries: [Entry]
    /// Whether the last line was incomplete and is therefore left out.
    let isCutOff: Bool

    /// - Parameter path: the file of the bytes, for errors.
    /// - Throws: `.brokenData` with the line number if this is not a recording.
    init(_ bytes: [UInt8], path: String) throws(CoordinationError) {
        var entries: [Entry] = []
        var isCutOff = false
        var rest = bytes[...]
        var number = 0
        while !rest.isEmpty {
            number += 1
            let end = rest.firstIndex(of: UInt8(ascii: "\n"))
            let line = rest[..<(end ?? rest.endIndex)]
            rest = end.map { rest[($0 + 1)...] } ?? []
            if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do throws(Invalid) { entries.append(try Self.entry(line)) } catch {
                if end == nil, error.isNoJSON, !entries.isEmpty {
                    isCutOff = true
                    break
                }
                throw CoordinationError(
                    .brokenData, "cannot replay", because: "line \(number): \(error.reason)", at: path,
                    hint: "give a file that 'qq watch --record' wrote")
            }
        }
        guard !entries.isEmpty else { throw CoordinationError(.brokenData, "cannot replay", because: "nothing was recorded", at: path) }
        self.entries = entries
        self.isCutOff = isCutOff
    }

    /// The elections, in the order of their first events.
    var names: [String] {
        var names: [String] = []
        for case .change(let change) in entries.map(\.event) where !names.contains(change.state.name) { names.append(change.state.name) }
        return names
    }

    private struct Invalid: Error {
        var reason: String
        var isNoJSON = false
    }

    private static func entry(_ line: ArraySlice<UInt8>) throws(Invalid) -> Entry {
        let json: JSONValue
        do { json = try JSONValue.parse(line) } catch { throw Invalid(reason: "not JSON: \(error.reason)", isNoJSON: true) }
        let time: WallTime
        do { time = try WallTime.parse(rfc3339: try text("time", of: json)) } catch let error as WallTime.Invalid {
            throw Invalid(reason: "time \(error.reason)")
        } catch { throw (error as? Invalid) ?? Invalid(reason: "\(error)") }
        let word = try text("event", of: json)
        let server = try text("server", of: json)
        if let kind = ConnectionEvent.Kind(rawValue: word) {
            return Entry(time: time, event: .connection(ConnectionEvent(kind, try text("reason", of: json))), json: json, server: server)
        }
        guard let kind = Change.Kind(rawValue: word) else { throw Invalid(reason: "no such event: \(Printable.text(word))") }
        return Entry(time: time, event: .change(Change(kind, try state(json), at: time)), json: json, server: server)
    }

    private static func state(_ json: JSONValue) throws(Invalid) -> ElectionState {
        let word = try text("state", of: json)
        guard let phase = ElectionState.Phase(rawValue: word) else { throw Invalid(reason: "no such state: \(Printable.text(word))") }
        var state = ElectionState(name: try text("name", of: json), phase: phase)
        // The output of `watch --json` has no last_leader.
        state.leader = json["leader"]?.stringValue ?? json["last_leader"]?.stringValue
        state.token = json["token"]?.uint64Value.map { FencingToken($0) }
        state.epoch = json["epoch"]?.uint64Value
        state.ttl = json["ttl"]?.doubleValue.map { .seconds(saturating: $0) }
        state.remaining = json["expires_in"]?.doubleValue.map { .seconds(saturating: $0) }
        return state
    }

    private static func text(_ key: String, of json: JSONValue) throws(Invalid) -> String {
        guard let text = json[key]?.stringValue else { throw Invalid(reason: "no text under '\(key)'") }
        return text
    }
}
