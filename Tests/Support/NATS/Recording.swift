import QQCore

/// The recorded traffic between real Go nodes and a real server, line by line.
public struct Recording: Sendable {
    public let lines: [TappedLine]

    /// The recording of a format's nodes: two of them, `node-a` and `node-b` in cluster `demo`, with a lease of 3 s and an interval of 1 s.
    public init(_ format: GoNode.Format) throws {
        let path = packageFolder + "/Tests/EndToEndTests/Recordings/nats-go-cluster-\(format.rawValue).jsonl"
        guard let bytes = readBytes(path) else { throw CannotStart("no recording: \(path)") }
        lines = try bytes.split(separator: 10).map { try TappedLine(JSONValue.parse($0)) }
    }
}

/// A client's line in a form that allows two runs to be compared: values that differ from run to run are replaced by `<…>`.
public struct ComparableLine: Sendable, Hashable, CustomStringConvertible {
    /// The verb and the subject.
    public var what: String
    /// All other parts of the line, by field name.
    public var fields: [String: String]

    public var description: String {
        what + fields.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    }
}

extension Sequence<TappedLine> {
    /// The lines that a connection's client sent, in order and in comparable form, without PING and PONG, which depend on time.
    /// - Parameter connections: numbers of the connections whose lines are returned together; nil for all.
    public func comparable(_ connections: Set<Int>? = nil) -> [ComparableLine] {
        var memory = RevisionMemory()
        let all = compactMap { line in
            let comparable = memory.take(line)
            return connections?.contains(line.connection) ?? true ? comparable : nil
        }
        // Sorted, because Go nodes unsubscribe in the order of a hash table.
        return all.split { $0.what.hasPrefix("UNSUB ") }.joined() + all.filter { $0.what.hasPrefix("UNSUB ") }.sorted { $0.what < $1.what }
    }
}

/// Tracks the known revisions, so that an expected revision can be compared by its meaning.
private struct RevisionMemory {
    /// The last revision that a client learned, by subject.
    private var last: [String: Int64] = [:]
    /// The subjects of publications that wait for their acknowledgement, by reply subject.
    private var waiting: [String: String] = [:]

    /// Returns nil for the server's lines, and for PING and PONG.
    mutating func take(_ line: TappedLine) -> ComparableLine? {
        let words = line.words.map(String.init)
        switch (line.from, String(line.verb)) {
        case (.server, "MSG"), (.server, "HMSG"):
            learn(line, words)
            return nil
        case (.server, _), (_, "PING"), (_, "PONG"): return nil
        case (_, "CONNECT"): return ComparableLine(what: "CONNECT", fields: flatten(line.payload ?? .null))
        case (_, "SUB"):
            let group = words.count > 3 ? words[2] : ""
            return ComparableLine(
                what: "SUB " + neutral(words[1]), fields: ["sid": words.last ?? "", "group": group, "form": neutral(line.text)])
        case (_, "PUB"), (_, "HPUB"):
            let sizes = line.verb == "PUB" ? 1 : 2
            var fields = flatten(line.payload ?? .null, "payload")
            if words.count > 2 + sizes {
                fields["reply"] = neutral(words[2])
                waiting[words[2]] = words[1]
            }
            for header in (line.headers ?? []).dropFirst() where !header.isEmpty {
                let name = header.prefix { $0 != ":" }
                let value = String(header.dropFirst(name.count + 2))
                fields["header " + name] = name == "Nats-Expected-Last-Subject-Sequence" ? meaning(value, words[1]) : value
            }
            return ComparableLine(what: "\(line.verb) \(neutral(words[1]))", fields: fields)
        default: return ComparableLine(what: line.text, fields: [:])
        }
    }

    private func meaning(_ expected: String, _ subject: String) -> String {
        if expected == "0" { return "0" }
        return last[subject].map { "\($0)" == expected ? "<last revision>" : "<not the last revision>" } ?? "<unknown revision>"
    }

    private mutating func learn(_ line: TappedLine, _ words: [String]) {
        guard words.count > 3 else { return }
        // The revision in an acknowledgement.
        if let subject = waiting[words[1]], let sequence = line.payload?["seq"]?.int64Value, sequence > 0, subject.hasPrefix("$KV.") {
            last[subject] = sequence
        }
        // The revision in a watch's delivery.
        let reply = words[3].split(separator: ".")
        if words[3].hasPrefix("$JS.ACK."), reply.count >= 6, let sequence = Int64(reply[5]) {
            last[words[1]] = Swift.max(last[words[1]] ?? 0, sequence)
        }
        // The revision in the answer to a direct get.
        func header(_ name: String) -> String? {
            line.headers?.first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
        }
        if let subject = header("Nats-Subject"), let sequence = header("Nats-Sequence").flatMap({ Int64($0) }) { last[subject] = sequence }
    }
}

/// Replaces the parts of a text that are new in each run: inboxes, consumer names, service IDs.
private func neutral(_ text: String) -> String {
    text.split(separator: " ", omittingEmptySubsequences: false).map { word in
        var parts = word.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        switch (parts.first, parts.count > 1 ? parts[1] : "") {
        case ("_INBOX", _):
            for place in parts.indices.dropFirst() where parts[place] != "*" { parts[place] = "<\(place)>" }
        case ("$JS", "API") where parts.count > 5 && parts[2] == "CONSUMER" && parts[3] == "CREATE": parts[5] = "<consumer>"
        case ("$SRV", _) where parts.count > 3: parts[3] = "<service>"
        default: break
        }
        return parts.joined(separator: ".")
    }.joined(separator: " ")
}

/// Fields whose values differ from run to run. Their presence and type still count.
private let changing: Set<String> = [
    "id", "started", "acquired_at", "expires_at", "timestamp", "uptimeMs", "processing_time", "average_processing_time", "deliver_subject",
]

/// Every value in a document by its path.
private func flatten(_ value: JSONValue, _ path: String = "") -> [String: String] {
    let name = path.split(separator: ".").last.map(String.init) ?? ""
    switch value {
    case .object(let object):
        var fields = object.isEmpty ? [path: "{}"] : [:]
        for member in object.members { fields.merge(flatten(member.value, path.isEmpty ? member.name : path + "." + member.name)) { $1 } }
        return fields
    case .array(let elements):
        var fields = elements.isEmpty ? [path: "[]"] : [:]
        for (place, element) in elements.enumerated() { fields.merge(flatten(element, "\(path).\(place)")) { $1 } }
        return fields
    case .integer where changing.contains(name) || path == "payload": return [path: "<integer>"]
    case .string where changing.contains(name): return [path: "<text>"]
    default: return [path: JSONWriter.string(value)]
    }
}

/// The differences between two runs' lines, field by field; empty if the lines are equal.
public func differences(_ ours: [ComparableLine], recorded: [ComparableLine]) -> [String] {
    var found: [String] = []
    for place in 0..<max(ours.count, recorded.count) {
        guard place < ours.count else {
            found.append("\(place): missing: \(recorded[place])")
            continue
        }
        guard place < recorded.count else {
            found.append("\(place): not in the recording: \(ours[place])")
            continue
        }
        let (one, other) = (ours[place], recorded[place])
        if one.what != other.what {
            // All later lines would be out of step.
            return found + ["\(place): «\(one)», recorded «\(other)»"]
        }
        for name in Set(one.fields.keys).union(other.fields.keys).sorted() where one.fields[name] != other.fields[name] {
            found.append("\(place): \(one.what): \(name) is \(one.fields[name] ?? "absent"), recorded \(other.fields[name] ?? "absent")")
        }
    }
    return found
}

extension [ComparableLine] {
    /// The lines without a loop's repetitions: of one or two lines that repeat, only the first occurrence stays.
    public var withoutRepetition: [ComparableLine] {
        var kept: [ComparableLine] = []
        for line in self {
            kept.append(line)
            for period in [1, 2] where kept.count >= 2 * period {
                if kept.suffix(period) == kept.dropLast(period).suffix(period) { kept.removeLast(period) }
            }
        }
        return kept
    }

    /// The lines that contain `part`, such as the lines for one subject.
    public func only(_ part: String) -> [ComparableLine] { filter { $0.what.contains(part) } }

    /// Answers to requests.
    public var answers: [ComparableLine] { filter { $0.what.hasPrefix("PUB _INBOX.") } }
    /// All lines but answers to requests.
    public var withoutAnswers: [ComparableLine] { filter { !$0.what.hasPrefix("PUB _INBOX.") } }
}
