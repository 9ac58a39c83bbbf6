import Glibc
import QQCore

/// Writes the events of `watch` to a file, a JSON object per line, for ``Replay``.
final class Recorder: Sendable {
    private let path: String
    private let descriptor: CInt

    /// Creates the file.
    /// - Throws: `.usage` if the file is not empty or not a regular one; `.unavailable` if it cannot be created.
    init(_ path: String) throws(CoordinationError) {
        var before = stat()
        if stat(path, &before) == 0 { try Self.check(before, path) }
        // The file might have been replaced since the check, for example with a pipe. Opening must not block even then.
        let opened = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o644)
        guard opened >= 0 else {
            throw CoordinationError(.unavailable, "cannot record", because: SystemCallError("open").reason, at: path)
        }
        var status = stat()
        do throws(CoordinationError) { if fstat(opened, &status) == 0 { try Self.check(status, path) } } catch {
            close(opened)
            throw error
        }
        self.path = path
        descriptor = opened
    }

    private static func check(_ status: stat, _ path: String) throws(CoordinationError) {
        func refused(_ reason: String, _ hint: String) -> CoordinationError {
            CoordinationError(.usage, "cannot record", because: reason, at: path, hint: hint)
        }
        guard status.st_mode & S_IFMT == S_IFREG || AtomicFile.isSink(status) else {
            throw refused(
                "it is \(AtomicFile.kind(status)), not a regular file", "name a new file; to write to a pipe, use --json and stdout")
        }
        if status.st_size > 0 { throw refused("the file is not empty", "name another file, or remove this one") }
    }

    deinit { close(descriptor) }

    func write(_ change: Change, server: ServerURL) throws(CoordinationError) {
        let state = change.changed
        let event = Schemas.event(change, server: server)
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

    /// Writes a line in one piece. Therefore only the last line can be incomplete, however the recording ends.
    private func write(_ value: JSONValue) throws(CoordinationError) {
        do throws(SystemCallError) { try writeAll(JSONWriter.string(value) + "\n", to: descriptor) } catch {
            throw CoordinationError(.unavailable, "cannot continue recording", because: error.reason, at: path)
        }
    }
}
