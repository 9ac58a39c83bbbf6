import CKernel
import Glibc
import QQCore

/// Saved grants, with which `release` and `keepalive` in the next line of a script continue the term of `acquire`. Each is a file that only this user can read, in
/// the runtime folder, which does not outlive a boot.
struct GrantStore: Sendable {
    let folder: String

    init() {
        if let runtime = variable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
            folder = runtime + "/qq"
        } else {
            folder = geteuid() == 0 ? "/run/qq" : "/tmp/qq-\(geteuid())"
        }
    }

    /// One file for each server and election. Its name has the election in clear, for the user, and a hash of both.
    private func path(name: String, server: ServerURL) -> String {
        let hash = String(fnv1a64(Array("\(server)\n\(name)".utf8)), radix: 16)
        let readable = name.utf8.prefix(64).map { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "-") ? byte : UInt8(ascii: "_")
        }
        return folder + "/" + String(decoding: readable, as: UTF8.self) + "-" + hash + ".json"
    }

    // MARK: Saving

    /// - Parameter isKept: whether this process goes on holding the lease.
    /// - Throws: `CoordinationError` if it cannot be saved.
    func save(_ grant: Grant, server: ServerURL, isKept: Bool = false) throws(CoordinationError) {
        let path = path(name: grant.name, server: server)
        try prepareFolder()
        var members = Self.json(grant, server: server).objectValue?.members ?? []
        if isKept, let started = Self.start(of: getpid()) {
            members += [
                .init(name: "keeper", value: .number(UInt64(getpid()))), .init(name: "keeper_started", value: .number(started)),
            ]
        }
        let bytes = JSONWriter.bytes(.object(JSONObject(members)), style: .indented) + [UInt8(ascii: "\n")]
        do throws(AtomicFile.Failure) { try AtomicFile.write(bytes, to: path, mode: 0o600) } catch {
            throw CoordinationError(.unavailable, "cannot save the grant", because: error.reason, at: path)
        }
    }

    /// A grant as it is saved, and as `parse` reads it.
    static func json(_ grant: Grant, server: ServerURL) -> JSONValue {
        let now = BootInstant(nanoseconds: qq_boot_now())
        return [
            "name": .string(grant.name), "server": .string(server.description), "id": .string(grant.identity),
            "token": Rendering.json(grant.token), "term": Rendering.json(grant.termID),
            "epoch": grant.epoch.map { .number($0) } ?? .null, "ttl": .double(grant.ttl.seconds),
            "acquired_at": .string(grant.acquiredAt.rfc3339Nano),
            "deadline": .number(grant.deadline.nanoseconds), "boot": .string(BootIdentity.own.text),
            "expires_at": .string((WallTime.now() + grant.deadline.duration(since: now)).rfc3339Nano),
        ]
    }

    /// Creates the folder, and checks its owner and permissions: in /tmp another user can have created it.
    private func prepareFolder() throws(CoordinationError) {
        do throws(FileError) { try Folder.make(folder, parentMode: nil) } catch { throw failure("save", error.path, error.cause) }
        var information = stat()
        guard lstat(folder, &information) == 0 else { throw failure("save", folder, SystemCallError("lstat")) }
        guard information.st_mode & S_IFMT == S_IFDIR, information.st_uid == geteuid(), information.st_mode & 0o077 == 0 else {
            throw CoordinationError(
                .denied, "cannot save the grant", because: "the folder for saved grants is not private to this user", at: folder,
                hint: "set XDG_RUNTIME_DIR to a folder of your own")
        }
    }

    // MARK: Reading

    /// The saved grant of an election; nil if there is none.
    /// - Throws: `.brokenData` if its file cannot be parsed.
    func load(name: String, server: ServerURL) throws(CoordinationError) -> Grant? {
        let path = path(name: name, server: server)
        let (owner, bytes): (uid_t, [UInt8])
        do throws(SystemCallError) { (owner, bytes) = try Self.read(path) } catch {
            if error.call == "open", error.code == ENOENT { return nil }
            throw failure("read", path, error)
        }
        guard owner == geteuid() else {
            throw CoordinationError(
                .denied, "cannot use the saved grant", because: "it belongs to another user", at: path,
                hint: "set XDG_RUNTIME_DIR to a folder of your own")
        }
        guard let grant = Self.parse(bytes[...]), grant.name == name else {
            throw CoordinationError(
                .brokenData, "cannot use the saved grant", because: "it cannot be understood", at: path,
                hint: "remove the file, and name the lease with --id and --token")
        }
        return grant
    }

    /// Whether the process that saved the grant still holds the lease, such as a `keepalive`.
    func isKept(_ grant: Grant, server: ServerURL) -> Bool {
        guard let bytes = try? Self.read(path(name: grant.name, server: server)).bytes,
            let object = (try? JSONValue.parse(bytes[...]))?.objectValue,
            object["boot"]?.stringValue == BootIdentity.own.text, let keeper = object["keeper"]?.uint64Value,
            let started = object["keeper_started"]?.uint64Value, let pid = pid_t(exactly: keeper)
        else { return false }
        return Self.start(of: pid) == started
    }

    /// When a process started, in clock ticks after the boot; nil if there is no such process.
    private static func start(of pid: pid_t) -> UInt64? {
        let proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard proc >= 0 else { return nil }
        defer { close(proc) }
        var process = qq_process()
        return qq_process_read(proc, pid, &process) != 0 && process.is_zombie == 0 ? process.started : nil
    }

    /// Parses a saved grant; nil if it is not one.
    /// - Parameter boot: the clock of this process.
    static func parse(
        _ bytes: ArraySlice<UInt8>, boot: BootIdentity = .own, now: BootInstant = BootInstant(nanoseconds: qq_boot_now()),
        wall: WallTime = .now()
    ) -> Grant? {
        guard let object = (try? JSONValue.parse(bytes))?.objectValue, let name = object["name"]?.stringValue,
            let id = object["id"]?.stringValue,
            let ttl = object["ttl"]?.doubleValue, ttl >= 1e-9, ttl <= DurationText.maximum.seconds,
            let deadline = object["deadline"]?.uint64Value,
            let acquired = object["acquired_at"]?.stringValue, let acquiredAt = try? WallTime.parse(rfc3339: acquired)
        else { return nil }
        var left = BootInstant(nanoseconds: deadline).duration(since: now)
        if let saved = object["boot"]?.stringValue, !BootIdentity(saved).isSameClock(as: boot) {
            // The deadline is on another clock. Use the saved wall-clock time; without one, the lease counts as expired.
            let expires = object["expires_at"]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) }
            left = max(expires.map { $0 - wall } ?? .zero, .zero)
        }
        let lasts = Duration.nanoseconds(Int64((ttl * 1e9).rounded()))
        left = min(left, lasts)
        return Grant(
            name: name, identity: id, token: object["token"]?.uint64Value.map { FencingToken($0) },
            termID: object["term"]?.stringValue, details: object["epoch"]?.uint64Value.map { [StatusDetail("epoch", .number($0))] } ?? [],
            ttl: lasts, deadline: now + left,
            acquiredAt: acquiredAt, expiresAt: wall + left)
    }

    /// Removes the file of a grant, if it is that grant which is saved.
    func forget(_ grant: Grant, server: ServerURL) {
        guard let saved = try? load(name: grant.name, server: server), saved.identity == grant.identity, saved.token == grant.token,
            saved.termID == grant.termID
        else {
            return
        }
        unlink(path(name: grant.name, server: server))
    }

    /// The names of the elections at `server` that have a saved grant.
    func names(at server: ServerURL) -> [String] {
        let files = ((try? Folder.names(in: folder)) ?? []).filter { $0.hasSuffix(".json") }.map { folder + "/" + $0 }
        let names = files.compactMap { file -> String? in
            guard let bytes = try? Self.read(file).bytes, let name = Self.parse(bytes[...])?.name else { return nil }
            return path(name: name, server: server) == file ? name : nil
        }
        return names.sorted()
    }

    /// Size up to which a file is read, in bytes.
    private static let largest = 16 << 10

    /// The user that a file belongs to, and its contents if that is this user. A link is refused: in /tmp any user can place one.
    private static func read(_ path: String) throws(SystemCallError) -> (owner: uid_t, bytes: [UInt8]) {
        let file = try ReadableFile(path, followsLinks: false)
        let owner = try file.status().st_uid
        return (owner, owner == geteuid() ? try file.read(upTo: largest) : [])
    }

    private func failure(_ verb: String, _ path: String, _ error: SystemCallError) -> CoordinationError {
        CoordinationError(
            error.code == EACCES || error.code == EPERM || error.code == EROFS || error.code == ELOOP ? .denied : .unavailable,
            "cannot \(verb) the grant", because: error.reason, at: path, hint: "set XDG_RUNTIME_DIR to a folder of your own")
    }
}
