import Glibc
import QQCore

/// Whether a folder can take the files of another election. Reads only.
struct FolderRoom {
    let isWritable: Bool
    /// Whether there is space for a new election, as far as can be known; true if it cannot.
    let hasRoom: Bool
    let details: [StatusDetail]

    init(_ folder: Descriptor) { self.init(number: folder.number) }

    /// The folder in which `path`, which does not exist, would be created with those above it.
    init(nearestTo path: String) {
        var parts = path.split(separator: "/")
        var number: CInt = -1
        while number < 0, !parts.isEmpty {
            parts.removeLast()
            number = open("/" + parts.joined(separator: "/"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if number < 0, errno != ENOENT { break }
        }
        guard number >= 0 else {
            self.init(isWritable: false, hasRoom: true, details: [])
            return
        }
        defer { close(number) }
        self.init(number: number)
    }

    private init(isWritable: Bool, hasRoom: Bool, details: [StatusDetail]) {
        self.isWritable = isWritable
        self.hasRoom = hasRoom
        self.details = details
    }

    private init(number: CInt) {
        // Fails with EROFS for root, too.
        isWritable = faccessat(number, ".", W_OK | X_OK, AT_EACCESS) == 0
        var space = statvfs()
        guard fstatvfs(number, &space) == 0 else {
            (hasRoom, details) = (true, [])
            return
        }
        let isRoot = geteuid() == 0
        let free = UInt128(isRoot ? space.f_bfree : space.f_bavail) * UInt128(space.f_frsize)
        // Some file systems, such as Btrfs, do not count inodes.
        let hasInodes = space.f_files == 0 || (isRoot ? space.f_ffree : space.f_favail) >= 2
        var limit = rlimit()
        let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 && limit.rlim_cur < LeaseJournal.longestFile
        // A block for the lease file, and one for each slot of its journal.
        let needed = UInt128(max(space.f_frsize, 4096)) * UInt128(1 + LeaseJournal.slotCount)
        hasRoom = free >= needed && hasInodes && !isLimited
        details = [
            .init("room", .bool(hasRoom)),
            .init("free_bytes", .number(UInt64(clamping: UInt128(space.f_bavail) * UInt128(space.f_frsize)))),
        ]
    }
}
