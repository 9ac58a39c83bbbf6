import Glibc
import QQCore

/// Writes what `watch` sees to a file, a JSON object a line, for ``Replay``.
final class Recorder: Sendable {
    private let path: String
    private let descriptor: CInt

    /// Makes the file.
    /// - Throws: `.usage` where there is something in it already; `.unavailable` where it cannot be made.
    init(_ path: String) throws(CoordinationError) {
        self.path = path
        descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw CoordinationError(.unavailable, "cannot record", because: SystemCallError("open").reason, at: path)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 else { return }
        close(descriptor)
        throw CoordinationError(
            .usage, "cannot record", because: "there is something in the file already", at: path,
            hint: "name another file, or remove this one")
    }

    deinit { close(descriptor) }

    func write(_ change: Change, server: ServerURL) throws(CoordinationError) {
        let state = change.state
        let event = Schemas.event(change.kind.rawValue, state, at: change.time, server: server)
        let more: [JSONObject.Member] = [
            .init(name: "last_leader", value: Rendering.json(state.leader)), .init(name: "ttl", value: Rendering.json(state.ttl)),
        ]
        try write(.object(JSONObject((event.objectValue?.members ?? []) + more)))
    }

    func write(_ event: ConnectionEvent, at time: WallTime, server: ServerURL) throws(CoordinationError) {
        try write([
            "time": Rendering.json(time), "event": .string(event.kind.rawValue), "server": .string(server.description),
            "reason": .string(event.text),
        ])
    }

    /// A line in one piece: a recording that is cut off has whole lines.
    private func write(_ value: JSONValue) throws(CoordinationError) {
        do throws(SystemCallError) { try writeAll(JSONWriter.string(value) + "\n", to: descriptor) } catch {
            throw CoordinationError(.unavailable, "cannot go on recording", because: error.reason, at: path)
        }
    }
}
