import CKernel
import Glibc
import QQCore

/// One read or one change of a lease file, under its flock(2), which the Go package takes too.
///
/// The lock is held from `init` until the object is destroyed. Nothing in here waits: a file that another process has locked is `.busy`. A read that
/// shows a live holder does without the lock: its bytes are those of one moment, and a reader that is stopped half-way blocks no writer.
///
/// A class, because a value would make the frames of everything that waits with it too large: there can be thousands.
final class LeaseTransaction: Sendable {
    enum Opened {
        case ready(LeaseTransaction)
        /// Another process is changing the file.
        case busy
        /// The lease file does not exist.
        case missing
    }

    let name: String
    let folder: LeaseFolder
    let directory: Descriptor
    private let file: Descriptor
    /// Nil for a reader if there is none.
    let side: Descriptor?
    /// The lease file's bytes.
    let raw: [UInt8]
    private let journal: LeaseJournal?
    let record: LeaseRecord
    /// As in `LeaseFileRules`.
    let liveToken: UInt64?
    /// A byte of work that is locked without a term; nil if work was found.
    let strangersByte: Int64?
    let holderLives: Bool
    /// The side file's inode.
    let lockFile: UInt64?
    let isShared: Bool

    var highestToken: UInt64 { journal?.token ?? 0 }

    static func open(_ name: String, in folder: LeaseFolder, _ access: LeaseFolder.Access) throws(CoordinationError) -> Opened {
        // A deleted folder took its leases with it. A folder that was named and never existed is an error to report.
        if access == .amend || (access == .read && folder.isDefault), folder.isMissing { return .missing }
        let directory = try folder.open(creating: access == .change, changing: access != .read)
        // The file might be replaced between opening and locking it. The lock is useless then, and the file is opened again.
        for _ in 0..<10 {
            guard let file = try folder.openFile(name + LeaseFolder.suffix, in: directory, access) else { return .missing }
            if access == .read, let glance = try? LeaseTransaction(name, folder, directory, file, access), glance.showsHolder {
                return .ready(glance)
            }
            guard file.lockWhole(access == .read ? LOCK_SH : LOCK_EX) else {
                if errno == EWOULDBLOCK || errno == EINTR { return .busy }
                throw folder.problem(SystemCallError("flock"), with: folder.leaseFile(name))
            }
            if isPresent(file, as: name, in: directory) { return .ready(try LeaseTransaction(name, folder, directory, file, access)) }
        }
        return .busy
    }

    /// Whether the record is complete and in force. An empty one might belong to a process that is writing, and a missing lock to a term that is already
    /// over.
    private var showsHolder: Bool {
        !record.holder.isEmpty && (!record.isLocked || holderLives || (liveToken != nil && liveToken == record.token))
    }

    private static func isPresent(_ file: Descriptor, as name: String, in directory: Descriptor) -> Bool {
        guard let own = try? file.information(), let named = directory.information(of: name + LeaseFolder.suffix) else { return false }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    private init(
        _ name: String, _ folder: LeaseFolder, _ directory: Descriptor, _ file: Descriptor, _ access: LeaseFolder.Access
    ) throws(CoordinationError) {
        self.name = name
        self.folder = folder
        self.directory = directory
        self.file = file
        let path = folder.leaseFile(name)
        var side = try folder.openFile(LeaseFolder.sideFile(name), in: directory, access == .read ? .read : .amend)
        let raw = try folder.reporting(path) { () throws(SystemCallError) in try file.read(at: 0, count: LeaseJournal.largestLeaseFile + 1)
        }
        let journal: LeaseJournal?
        if let side {
            journal = try folder.reporting(path) { () throws(SystemCallError) in try LeaseTransaction.readJournal(side) }
        } else {
            journal = nil
        }
        if access != .read, let side { try LeaseTransaction.checkJournal(side, folder, name) }
        isShared = FileSystem(of: directory).isShared
        guard raw.count <= LeaseJournal.largestLeaseFile else {
            throw LeaseTransaction.broken(.init(reason: "it is larger than \(LeaseJournal.largestLeaseFile) bytes", isForeign: true), path)
        }
        // Their meaning.
        let content = journal?.settled(raw) ?? raw
        var record: LeaseRecord
        do throws(LeaseRecord.Broken) { record = try LeaseRecord(parsing: content) } catch { throw LeaseTransaction.broken(error, path) }
        // Another program wrote it since, and might have kept the fields that it does not know.
        if let journal, content != journal.before, content != journal.after {
            record.believe(after: try? LeaseRecord(parsing: journal.after))
        }
        (self.raw, self.journal, self.record) = (raw, journal, record)
        // Only now, so that no file is created beside one that turns out to be another program's.
        if side == nil, access != .read { side = try folder.openFile(LeaseFolder.sideFile(name), in: directory, .change) }
        self.side = side
        if access != .read { for file in [file, side] { Permissions.settle(file, in: directory) } }
        lockFile = try side.map { side throws(CoordinationError) in
            UInt64(try folder.reporting(path) { () throws(SystemCallError) in try side.information() }.st_ino)
        }
        let highest = max(journal?.token ?? 0, record.token ?? 0)
        let work = side.map { [token = record.token] in TermLivenessLock.findWork($0, expected: token, highest: highest) }
        liveToken = work?.token
        strangersByte = work?.strangersByte
        holderLives = side.map { [record] side in record.token.map { TermLivenessLock.isHeld($0, .holder, side) } ?? false } ?? false
    }

    private static func readJournal(_ side: Descriptor) throws(SystemCallError) -> LeaseJournal? {
        var entries: [LeaseJournal] = []
        for slot in 0..<LeaseJournal.slotCount {
            let start = slot * LeaseJournal.slotSize
            let first = try side.read(at: start, count: LeaseJournal.usualSize)
            var entry = LeaseJournal(slot: first)
            // The rest is read only if needed.
            if entry == nil, first.count == LeaseJournal.usualSize {
                entry = LeaseJournal(slot: try side.read(at: start, count: LeaseJournal.slotSize))
            }
            if let entry { entries.append(entry) }
        }
        return LeaseJournal.newest(entries)
    }

    /// A file with the name of our side file that belongs to another program is never overwritten.
    private static func checkJournal(_ side: Descriptor, _ folder: LeaseFolder, _ name: String) throws(CoordinationError) {
        let path = folder.path + "/" + LeaseFolder.sideFile(name)
        for slot in 0..<LeaseJournal.slotCount {
            let start = try folder.reporting(path) { () throws(SystemCallError) in
                try side.read(at: slot * LeaseJournal.slotSize, count: 64)
            }
            guard LeaseJournal.isForeign(slot: start) else { continue }
            var error = CoordinationError(
                .brokenData, "cannot use the journal of \(name)", because: "it is some other program's file", at: path,
                hint: "choose another name: this file stays as it is")
            error.canPass = false
            throw error
        }
    }

    private static func broken(_ problem: LeaseRecord.Broken, _ path: String) -> CoordinationError {
        var error = CoordinationError(
            .brokenData, "cannot understand the lease file", because: problem.reason, at: path,
            hint: problem.isForeign
                ? "choose another name: this file is some other program's, and stays as it is"
                : "inspect it; if no process works under this lease, empty it: truncate -s 0 \(path)")
        if problem.isForeign { error.canPass = false }
        return error
    }

    /// Whether a file with the name of a lease file is another program's: valid JSON that is not a lease, or far too large for one, without anything of
    /// `qq` beside it.
    static func isForeign(_ name: String, in folder: LeaseFolder) -> Bool {
        var side = stat()
        guard let directory = try? folder.open(creating: false),
            fstatat(directory.number, LeaseFolder.sideFile(name), &side, AT_SYMLINK_NOFOLLOW) != 0, errno == ENOENT,
            let file = (try? folder.openFile(name + LeaseFolder.suffix, in: directory, .read)) ?? nil,
            let bytes = try? file.read(at: 0, count: LeaseJournal.largestLeaseFile + 1)
        else {
            return false
        }
        if bytes.count > LeaseJournal.largestLeaseFile { return true }
        do throws(LeaseRecord.Broken) { _ = try LeaseRecord(parsing: bytes) } catch { return error.isForeign }
        return false
    }

    /// - Throws: `.brokenData` if the token exceeds the largest one.
    func checkToken(_ token: UInt64) throws(CoordinationError) {
        guard max(token, highestToken) <= LeaseRecord.largestToken else {
            var error = CoordinationError(
                .brokenData, "cannot write the lease file", because: "the fencing tokens are used up", at: folder.leaseFile(name),
                hint: "choose another name; tokens must never start again while anything remembers the larger ones")
            error.canPass = false
            throw error
        }
    }

    /// Replaces the record. If that fails before the first byte is overwritten, the old content stays; if it fails later, it can be restored.
    /// - Parameter token: the largest token given out so far, this change included.
    /// - Parameter isNewTerm: whether to wait until the record is on the disk: a token must not be given out again after a power failure. Everything else
    ///   is about processes of this machine, which would not survive that either. If other machines can see the folder, each record is waited for: a renewal
    ///   counts only if they see it, and the server can refuse it later than the write.
    /// - Returns: the lease file's bytes.
    @discardableResult
    func write(_ new: LeaseRecord, token: UInt64, isNewTerm: Bool) throws(CoordinationError) -> [UInt8] {
        let path = folder.leaseFile(name)
        let after = new.encoded
        guard let side, after.count <= LeaseJournal.largestLeaseFile else {
            throw CoordinationError(.usage, "cannot write the lease file", because: "its content would be too large", at: path)
        }
        try checkToken(token)
        // What an interrupted change has left is completed first. The next entry replaces the one that explains it, and has to begin with content
        // that can be read: otherwise a second failure would leave a file that nobody understands.
        let content = journal?.settled(raw) ?? raw
        if raw != content {
            try folder.reporting(path) { () throws(SystemCallError) in
                try file.write(LeaseJournal.overwrite(from: raw, to: content), at: 0)
                try file.truncate(to: content.count)
                try file.synchronise()
            }
        }
        let entry = LeaseJournal(sequence: (journal?.sequence ?? 0) + 1, token: max(token, highestToken), before: content, after: after)
        let encoded = entry.encoded
        try folder.reporting(path) { () throws(SystemCallError) in
            // Content that does not grow, as in most renewals, has its room already.
            if isNewTerm || after.count > content.count { try file.reserve(max(after.count, content.count)) }
            if isNewTerm {
                // Room for the later writes of the term, so that a full disk does not end it.
                for slot in 0..<LeaseJournal.slotCount { try side.reserve(LeaseJournal.usualSize, at: slot * LeaseJournal.slotSize) }
            }
            try side.write(encoded, at: entry.offset)
            if isNewTerm { try side.synchronise() }
        }
        do throws(SystemCallError) {
            try file.write(LeaseJournal.overwrite(from: content, to: after), at: 0)
            if after.count < content.count { try file.truncate(to: after.count) }
            if isNewTerm || isShared { try file.synchronise() }
        } catch {
            restore(content, over: after)
            var problem = folder.problem(error, with: path)
            problem.isUncertain = true
            throw problem
        }
        return after
    }

    /// Writes the old content again, so that no process reads a lease that was not granted.
    ///
    /// A disk that has failed once can fail again. What is left is then the new content or the old one, with spaces after it, and never a part that nobody can
    /// read: the length changes only after the content.
    private func restore(_ content: [UInt8], over after: [UInt8]) {
        if !content.isEmpty {
            guard (try? file.write(LeaseJournal.overwrite(from: after, to: content), at: 0)) != nil else { return }
        }
        try? file.truncate(to: content.count)
    }
}
