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
        let written = try text("time", of: json)
        do throws(WallTime.Invalid) { time = try WallTime.parse(rfc3339: written) } catch {
            throw Invalid(reason: "time \(error.reason)")
        }
        let word = try text("event", of: json)
        let server = try text("server", of: json)
        if let kind = ConnectionEvent.Kind(rawValue: word) {
            return Entry(time: time, event: .connection(ConnectionEvent(kind, try text("reason", of: json))), json: json, server: server)
        }
        guard let kind = Change.Kind(rawValue: word) else { throw Invalid(reason: "no such event: \(Printable.text(word))") }
        let (state, slot) = try state(json)
        return Entry(time: time, event: .change(Change(kind, state, slot: slot, at: time)), json: json, server: server)
    }

    /// - Returns: the state of the election, and the slot that has changed.
    private static func state(_ json: JSONValue) throws(Invalid) -> (ElectionState, slot: Int?) {
        let word = try text("state", of: json)
        guard let phase = ElectionState.Phase(rawValue: word) else { throw Invalid(reason: "no such state: \(Printable.text(word))") }
        let name = try text("name", of: json)
        guard let count = json["slots"]?.uint64Value else { return (state(json, name: name, phase: phase), nil) }
        guard (1...UInt64(Slot.most)).contains(count) else { throw Invalid(reason: "no such number of slots: \(count)") }
        var slots = Slot.all(Int(count), of: name).map { ElectionState(name: $0.name, phase: .free) }
        for holder in json["holders"]?.arrayValue ?? [] {
            let index = try index(holder["slot"], in: slots)
            slots[index] = state(holder, name: slots[index].name, phase: .held)
        }
        guard let slot = json["slot"], !slot.isNull else {
            // The end of a lease and a state that is not known are not among the holders.
            if phase != .held { for index in slots.indices { slots[index].phase = phase } }
            if slots.count == 1 { slots[0] = state(json, name: slots[0].name, phase: phase) }
            return (ElectionState(name: name, slots: slots), nil)
        }
        let changed = try index(slot, in: slots)
        slots[changed] = state(json, name: slots[changed].name, phase: phase)
        return (ElectionState(name: name, slots: slots), changed + 1)
    }

    private static func index(_ number: JSONValue?, in slots: [ElectionState]) throws(Invalid) -> Int {
        guard let number = number?.uint64Value, (1...UInt64(slots.count)).contains(number) else { throw Invalid(reason: "no such slot") }
        return Int(number) - 1
    }

    private static func state(_ json: JSONValue, name: String, phase: ElectionState.Phase) -> ElectionState {
        var state = ElectionState(name: name, phase: phase)
        // The output of `watch --json` has no last_leader.
        state.leader = json["leader"]?.stringValue ?? json["last_leader"]?.stringValue
        // Older recordings have none.
        state.note = Note.read(json["note"]?.stringValue)
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
