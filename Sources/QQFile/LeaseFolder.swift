import CKernel
import Glibc
import QQCore

/// The folder of the lease files, and how files in it are opened: never through symbolic links, and never a file planted by another user.
struct LeaseFolder: Sendable {
    let path: String
    /// Whether to create the folder if it is missing: only the embedded default, so that a mistyped or unmounted folder never becomes a second election.
    let isDefault: Bool
    var machine: Machine = .own

    static let suffix = ".json"

    func leaseFile(_ name: String) -> String { path + "/" + name + Self.suffix }

    static func sideFile(_ name: String) -> String { "." + name + ".lock" }

    /// The election that a side file belongs to; nil for any other file.
    static func name(ofSideFile file: String) -> String? {
        file.hasPrefix(".") && file.hasSuffix(".lock") && file.utf8.count > 6 ? String(file.dropFirst().dropLast(5)) : nil
    }

    /// - Parameter changing: whether something in the folder will be changed.
    /// - Throws: `CoordinationError` that describes the problem with the folder.
    func open(creating: Bool, changing: Bool = false) throws(CoordinationError) -> Descriptor {
        var opened = machine.openFolder(path)
        if opened == nil, errno == ENOENT, creating, isDefault {
            try make()
            opened = machine.openFolder(path)
        }
        guard let folder = opened else { throw problem(SystemCallError("open"), with: path, changing ? .change : .read) }
        let information = try reporting(path) { () throws(SystemCallError) in try folder.information() }
        if information.st_mode & S_IWOTH != 0, information.st_mode & S_ISVTX == 0 {
            throw CoordinationError(
                .denied, "cannot use the lease folder", because: "every user can replace files in it", at: path,
                hint: "take the right to write from others, or set the sticky bit: chmod +t \(path)")
        }
        if changing, isDefault, Permissions.areTooWide(information) { Permissions.makePrivate(folder, of: self) }
        return folder
    }

    /// Whether the folder is missing, as a default folder is before its first use.
    var isMissing: Bool { machine.isMissing(path) }

    private func make() throws(CoordinationError) {
        // Leases reveal who works on what, and a process that can open one can lock it. A user's folder is therefore private; the folders above root's can be
        // read by every user.
        do throws(FileError) { try Folder.make(path, mode: 0o700, parentMode: geteuid() == 0 ? 0o755 : 0o700) } catch {
            throw problem(error.cause, with: error.path)
        }
    }

    enum Access {
        case read
        /// For changing; a missing file is created.
        case change
        /// For changing an existing file.
        case amend
    }

    /// Opens a file of the folder; nil if it is missing and is not to be created.
    func openFile(_ file: String, in folder: Descriptor, _ access: Access) throws(CoordinationError) -> Descriptor? {
        let flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (access == .read ? O_RDONLY : O_RDWR)
        let full = path + "/" + file
        let around = try reporting(path) { () throws(SystemCallError) in try folder.information() }
        var opened = folder.open(file, flags)
        var isNew = false
        if opened == nil, errno == ENOENT, access == .change {
            opened = folder.open(file, flags | O_CREAT | O_EXCL, Permissions.ofNewFile(in: around))
            isNew = opened != nil
            if opened == nil, errno == EEXIST { opened = folder.open(file, flags) }
        }
        var tries = 0
        while opened == nil, errno == EACCES, Permissions.isGroups(around), tries < 5 {
            // Another member of the group might be creating it right now.
            usleep(1000)
            opened = folder.open(file, flags)
            tries += 1
        }
        if opened == nil, errno == ENOENT, access != .change { return nil }
        guard let descriptor = opened else { throw problem(SystemCallError("open"), with: full, access) }
        let own = try reporting(full) { () throws(SystemCallError) in try descriptor.information() }
        try check(own, in: around, full)
        if isNew { Permissions.settle(descriptor, own, in: around) }
        return descriptor
    }

    /// In a folder where every user can create files, only our own files and those of the folder's owner are trusted (like fs.protected_regular). A file with
    /// several names is not trusted there, nor by root in any other user's folder.
    private func check(_ own: stat, in around: stat, _ full: String) throws(CoordinationError) {
        guard own.st_mode & S_IFMT == S_IFREG else {
            throw CoordinationError(
                .brokenData, "cannot use the lease file", because: "it is not a regular file", at: full,
                hint: "move it away, or choose another name")
        }
        let isEverybodys = Permissions.isEverybodys(around)
        if isEverybodys, own.st_uid != geteuid(), own.st_uid != around.st_uid {
            throw CoordinationError(
                .denied, "cannot use the lease file",
                because: "it belongs to user \(own.st_uid), in a folder where every user can create files", at: full,
                hint: "choose a folder that only the contenders can write to, with -s file:///DIR")
        }
        // Another user might have linked to a file of ours, for us to write to. Root has the most to lose and therefore checks in every folder of others.
        let isOthers = geteuid() == 0 && (around.st_uid != 0 || Permissions.isGroups(around))
        if own.st_nlink > 1, isEverybodys || isOthers {
            let who = isEverybodys ? "every user" : "a user other than root"
            throw CoordinationError(
                .denied, "cannot use the lease file", because: "it has \(own.st_nlink) names, in a folder where \(who) can create files",
                at: full,
                hint: isEverybodys
                    ? "choose a folder that only the contenders can write to, with -s file:///DIR"
                    : "see what it is, and remove its other names: find / -xdev -samefile \(full)")
        }
    }

    func reporting<Result>(
        _ file: String, _ access: Access = .change, _ body: () throws(SystemCallError) -> Result
    ) throws(CoordinationError) -> Result {
        do { return try body() } catch { throw problem(error, with: file, access) }
    }

    /// A failed system call as it is reported to the user.
    /// - Parameter access: the access to the file that was requested.
    func problem(_ error: SystemCallError, with file: String, _ access: Access = .change) -> CoordinationError {
        let isFolder = file == path
        func say(
            _ kind: CoordinationError.Kind, _ hint: String?, because reason: String? = nil, canPass: Bool? = nil
        ) -> CoordinationError {
            let what = isFolder ? "cannot use the lease folder" : "cannot use the lease file"
            var told = CoordinationError(kind, what, because: reason ?? error.reason, at: file, hint: hint)
            told.canPass = canPass
            return told
        }
        switch error.code {
        // The file system might not be mounted yet, or not be writable yet.
        case ENOENT:
            return say(.configuration, "make the folder first, so that a mistyped one is never taken: mkdir -p \(path)", canPass: true)
        case ENOTDIR: return say(.configuration, "name a folder with -s file:///DIR")
        case ELOOP:
            return say(
                .denied, isFolder ? "name the real folder with -s file:///DIR" : "move it away, or choose another name",
                because: "it is a symbolic link, which qq does not follow")
        case EACCES, EPERM:
            let who =
                access == .read
                ? "run qq as the folder's owner, as root, or as a member of the group that shares it: others cannot read its elections"
                : "run qq as a user who may write there, or choose another folder with -s file:///DIR"
            return say(.denied, who)
        case EROFS: return say(.denied, "choose a folder on a file system that can be written, with -s file:///DIR", canPass: true)
        case EISDIR: return say(.brokenData, "move it away, or choose another name", canPass: false)
        case ENOSPC, EDQUOT: return say(.unavailable, "nothing was granted and the old content stays; make room and try again")
        case EFBIG:
            // The limit of this process stays as it is, however long it waits.
            return say(
                .unavailable,
                "nothing was granted and the old content stays; raise the limit on the size of files (ulimit -f) to at least \(LeaseJournal.longestFile >> 10) KiB: that long is a lease's journal, most of it a hole",
                canPass: false
            )
        case ENAMETOOLONG: return say(.configuration, "choose a shorter path with -s file:///DIR")
        default: return say(.unavailable, nil)
        }
    }
}
