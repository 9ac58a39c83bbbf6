import Glibc
import QQCore
import QQFile
import QQLoop

/// Where the file of contexts is, and how it is read and changed: one process at a time changes it, and it is there as a whole or not at all.
struct ContextsStore: Sendable {
    let path: String

    /// `contexts.yaml` in the folder of `qq` below the user's XDG configuration folder.
    /// - Throws: `.configuration` where no variable tells where that is.
    init() throws(CoordinationError) {
        if let folder = filledVariable("XDG_CONFIG_HOME"), folder.hasPrefix("/") {
            path = folder + "/qq/contexts.yaml"
        } else if let home = filledVariable("HOME"), home.hasPrefix("/") {
            path = home + "/.config/qq/contexts.yaml"
        } else {
            throw CoordinationError(
                .configuration, "cannot tell where contexts are", because: "neither XDG_CONFIG_HOME nor HOME names a folder",
                hint: "set HOME")
        }
    }

    init(path: String) { self.path = path }

    /// The contexts; none where there is no file.
    func read() throws(CoordinationError) -> ContextsFile { try ContextsFile(try text() ?? "", path: path) }

    private static let largest = 1 << 20

    private func text() throws(CoordinationError) -> String? {
        let bytes: [UInt8]
        do throws(SystemCallError) { bytes = try ReadableFile.contents(of: path, upTo: Self.largest + 1) } catch {
            if error.call == "open", error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw failure("cannot read the contexts", error)
        }
        guard bytes.count <= Self.largest else {
            throw CoordinationError(.configuration, "cannot use the contexts", because: "the file is larger than 1 MiB", at: path)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CoordinationError(.configuration, "cannot use the contexts", because: "the file is not UTF-8", at: path)
        }
        return text
    }

    /// Reads, changes and writes, with nobody between.
    ///
    /// - Parameters:
    ///   - lock: the lock if it is taken already, as in a session, which waits for it while its leases are renewed.
    ///   - change: what to do with what is there; nil for nothing.
    func change(
        under lock: ContextsLock? = nil, _ change: (ContextsFile) throws(CoordinationError) -> ContextsText.Change?
    ) throws(CoordinationError) {
        let lock = if let lock { lock } else { try waitForLock() }
        defer { lock.close() }
        let text = try text() ?? ""
        guard let wanted = try change(try ContextsFile(text, path: path)) else { return }
        let edited = try ContextsText.apply(wanted, to: text, path: path)
        // A link, as into a repository of dot files, stays one.
        do throws(AtomicFile.Failure) { try AtomicFile.write(Array(edited.utf8), to: path, mode: 0o600, isDurable: true) } catch {
            throw CoordinationError(.unavailable, "cannot write the contexts", because: error.reason, at: path)
        }
    }

    /// How long another process may take for its change: it reads and writes one small file.
    private static let patience: Duration = .seconds(5)
    private static let pause: Duration = .milliseconds(5)

    private func waitForLock() throws(CoordinationError) -> ContextsLock {
        let lock = try openLock()
        for _ in 0..<(Int(Self.patience / Self.pause)) {
            if try lock.isTaken() { return lock }
            usleep(UInt32(Self.pause.nanoseconds / 1000))
        }
        throw lock.refusal(after: Self.patience)
    }

    /// The lock for a change, waited for while the loop goes on.
    /// - Throws: `CoordinationError`, or `CancellationError`.
    func lock(on loop: MainLoop) async throws -> ContextsLock {
        let lock = try openLock()
        let deadline = loop.now() + Self.patience
        while !(try lock.isTaken()) {
            if loop.now() >= deadline { throw lock.refusal(after: Self.patience) }
            try await loop.sleep(for: Self.pause)
        }
        return lock
    }

    /// The file itself is replaced: the lock is beside it.
    private func openLock() throws(CoordinationError) -> ContextsLock {
        do throws(FileError) { try Folder.make(Folder.containing(path)) } catch {
            throw CoordinationError(.unavailable, "cannot make the folder of the contexts", because: error.reason, at: error.path)
        }
        let descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw failure("cannot change the contexts", SystemCallError("open")) }
        return ContextsLock(descriptor, path: path)
    }

    private func failure(_ what: String, _ error: SystemCallError) -> CoordinationError {
        let isDenied = error.code == EACCES || error.code == EPERM
        return CoordinationError(isDenied ? .denied : .unavailable, what, because: error.reason, at: path)
    }
}
