import QQCore
import Synchronization

/// A protocol line from a tap or a recording.
public struct TappedLine: Sendable, Hashable, CustomStringConvertible {
    public enum Side: String, Sendable, Hashable { case client, server }

    /// Seconds since the tap was created.
    public var time: Double
    /// Number of the connection, from 1 in the order of creation.
    public var connection: Int
    public var from: Side
    /// The line itself, but only the verb of `INFO` and `CONNECT`.
    public var text: String
    /// The lines of the header block, including the empty ones at its end.
    public var headers: [String]?
    /// The payload, as JSON if it is JSON, otherwise as a string.
    public var payload: JSONValue?

    public var words: [Substring] { text.split(separator: " ") }
    public var verb: Substring { text.prefix { $0 != " " } }

    public var description: String {
        "\(connection) \(from.rawValue): \(text)" + (headers.map { " \($0.dropFirst().filter { !$0.isEmpty })" } ?? "")
            + (payload.map { " " + JSONWriter.string($0) } ?? "")
    }

    init(time: Double, connection: Int, from: Side, _ line: NATSLine) {
        self.time = time
        self.connection = connection
        self.from = from
        text = line.text
        headers = line.headers.map { String(decoding: $0, as: UTF8.self).components("\r\n") }
        payload = line.payload.map { (try? JSONValue.parse($0)) ?? .string(String(decoding: $0, as: UTF8.self)) }
    }

    /// Reads a line of a recording.
    init(_ record: JSONValue) throws {
        guard let time = record["t"]?.doubleValue, let connection = record["conn"]?.int64Value,
            let from = record["from"]?.stringValue.flatMap(Side.init), let text = record["line"]?.stringValue
        else { throw CannotStart("not a line of a recording: \(JSONWriter.string(record))") }
        self.time = time
        self.connection = Int(connection)
        self.from = from
        self.text = text
        headers = record["headers"]?.arrayValue?.compactMap(\.stringValue)
        payload = record["payload"]
    }
}

/// A proxy that also records every protocol line in both directions.
public final class LineTap: Sendable {
    private struct State: Sendable {
        var readers: [Key: NATSLineReader] = [:]
        var lines: [TappedLine] = []
        var problems: [String] = []
    }

    private struct Key: Hashable {
        var connection: Int
        var direction: Proxy.Direction
    }

    private final class Notebook: Sendable {
        let state = Mutex(State())
        let began = bootNow()

        func add(_ connection: Int, _ direction: Proxy.Direction, _ bytes: [UInt8]) {
            state.withLock { state in
                let key = Key(connection: connection, direction: direction)
                state.readers[key, default: NATSLineReader()].append(bytes)
                do {
                    while let line = try state.readers[key]?.next() {
                        let time = Double(bootNow() - began) / 1e9
                        state.lines.append(
                            TappedLine(time: time, connection: connection, from: direction == .toServer ? .client : .server, line))
                    }
                } catch { state.problems.append("\(connection) \(direction): \(error)") }
            }
        }
    }

    private let notebook: Notebook
    /// The proxy, whose network conditions can be changed like those of any other proxy.
    public let proxy: Proxy

    public init(to port: UInt16, in sandbox: Sandbox) throws {
        let notebook = Notebook()
        self.notebook = notebook
        proxy = try Proxy(to: port, in: sandbox) { notebook.add($0, $1, $2) }
    }

    public var port: UInt16 { proxy.port }
    public var lines: [TappedLine] { notebook.state.withLock { $0.lines } }
    /// Errors for bytes that are not protocol lines.
    public var problems: [String] { notebook.state.withLock { $0.problems } }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
