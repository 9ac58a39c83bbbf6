import Glibc
import QQCore
import Support
import Synchronization

/// A node of the Go leader election package, of either generation, reduced to its lease file: it reads, judges and writes the file under
/// flock, step by step as the package does.
final class ForeignNode: Sendable {
    enum Generation: Sendable {
        /// Does not know `leaseDuration`: judges every lease by its own duration.
        case old
        /// Judges a lease by the file's `leaseDuration`; a lease without one has expired.
        case present
    }

    let id: String
    private let generation: Generation
    private let lasts: Duration
    private let path: String

    init(_ id: String, _ generation: Generation, lasts: Duration, at path: String) {
        self.id = id
        self.generation = generation
        self.lasts = lasts
        self.path = path
    }

    /// The bytes that the package writes.
    func record(_ holder: String, renewedAt: WallTime, lasts: Int64) -> String {
        let last = generation == .present ? ",\n  \"leaseDuration\": \(lasts)" : ""
        return "{\n  \"holder\": \"\(holder)\",\n  \"renewTime\": \"\(renewedAt.rfc3339Nano)\"\(last)\n}\n"
    }

    /// Tries once to acquire or renew the lease.
    /// - Returns: whether it leads now.
    func tryOnce() throws -> Bool {
        try change { object in
            let holder = object?["holder"]?.stringValue ?? ""
            guard holder.isEmpty || holder == id || isOver(object) else { return nil }
            return record(id, renewedAt: .now(), lasts: lasts.nanoseconds)
        }
    }

    /// Releases the lease: the time of the last renewal and the duration stay.
    func release() throws {
        _ = try change { object in
            guard object?["holder"]?.stringValue == id else { return nil }
            let time = object?["renewTime"]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) }
            return record("", renewedAt: time ?? .goZero, lasts: object?["leaseDuration"]?.int64Value ?? 0)
        }
    }

    private func isOver(_ object: JSONObject?) -> Bool {
        let time = object?["renewTime"]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) } ?? .goZero
        let lasts = generation == .old ? lasts : .nanoseconds(object?["leaseDuration"]?.int64Value ?? 0)
        return WallTime.now() - time > lasts
    }

    private func change(_ decide: (JSONObject?) -> String?) throws -> Bool {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CannotStart("cannot open \(path)") }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else { throw CannotStart("cannot lock \(path)") }
        let bytes = readBytes(path) ?? []
        guard let text = decide(bytes.isEmpty ? nil : try JSONValue.parse(bytes).objectValue) else { return false }
        ftruncate(descriptor, 0)
        let new = Array(text.utf8)
        guard pwrite(descriptor, new, new.count, 0) == new.count else { throw CannotStart("cannot write \(path)") }
        fsync(descriptor)
        return true
    }
}
