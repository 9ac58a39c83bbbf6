import Glibc
import QQCore
import QQFile
import QQLoop

/// Reads and changes the file of contexts. One process at a time changes it, and each change replaces the file atomically.
struct ContextsStore: Sendable {
    let path: String

    /// `contexts.yaml` in the folder of `qq` below the user's XDG configuration folder.
    /// - Throws: `.configuration` if no variable names that folder.
    init() throws(CoordinationError) {
        if let folder = filledVariable("XDG_CONFIG_HOME"), folder.hasPrefix("/") {
            path = folder + "/qq/contexts.yaml"
        } else if let home = filledVariable("HOME"), home.hasPrefix("/") {
            path = home + "/.config/qq/contexts.yaml"
        } else {
            throw CoordinationError(
                .configuration, "cannot find the contexts", because: "neither XDG_CONFIG_HOME nor HOME names a folder",
                hint: "set HOME")
        }
    }

    init(path: String) { self.path = path }

    /// The contexts; empty if there is no file.
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

    /// Reads, changes and writes the file under the lock.
    ///
    /// - Parameters:
    ///   - lock: the lock, if the caller has acquired it already. A session does so, to wait for the lock without blocking its renewals.
    ///   - change: returns the change to make; nil for none.
    func change(
        under lock: ContextsLock? = nil, _ change: (ContextsFile) throws(CoordinationError) -> ContextsText.Change?
    ) throws(CoordinationError) {
        let lock = if let lock { lock } else { try waitForLock() }
        defer { lock.close() }
        var text = try text() ?? ""
        guard let wanted = try change(try ContextsFile(text, path: path)) else { return }
        try checkWritable()
        let form: TextForm
        do throws(TextForm.Mixed) { form = try TextForm(takenFrom: &text) } catch {
            throw CoordinationError(
                .configuration, "left the contexts alone", because: "some of their lines end with CR LF, and others do not", at: path,
                hint: "give all lines the same end: dos2unix \(path)")
        }
        let edited = form.whole(try ContextsText.apply(wanted, to: text, path: path))
        // A symbolic link is kept, because it can lead into a repository of dot files.
        do throws(AtomicFile.Failure) {
            try AtomicFile.write(Array(edited.utf8), to: path, mode: 0o600, isDurable: true, keepsOwner: true)
        } catch { throw CoordinationError(.unavailable, "cannot write the contexts", because: error.reason, at: path) }
    }

    /// Refuses to replace a file that its owner has protected from changes, or that this user cannot write to. Replacing it needs only the right to write to
    /// its folder.
    private func checkWritable() throws(CoordinationError) {
        var information = stat()
        guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return }
        if information.st_mode & S_IWUSR == 0 {
            throw CoordinationError(
                .denied, "left the contexts alone", because: "the file is read-only", at: path, hint: "allow changes: chmod u+w \(path)")
        }
        if access(path, W_OK) != 0 { throw failure("cannot write the contexts", SystemCallError("access")) }
    }

    /// Longest wait for another process to finish its change, which reads and writes one small file.
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

    /// Acquires the lock for a change without blocking the loop.
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

    /// Opens the lock file. The file of contexts cannot be the lock, because each change replaces it.
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
