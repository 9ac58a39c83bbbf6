/// The file system of a folder.
struct FileSystem: Sendable, Hashable {
    let name: String
    /// Whether other machines can write to it too.
    let isShared: Bool

    /// Names of file systems, and whether they are shared, by the magic numbers of statfs(2). An unknown file system might be shared: its leases are judged by
    /// time, not by locks.
    private static let known: [Int64: (String, Bool)] = [
        0xEF53: ("ext4", false), 0x5846_5342: ("xfs", false), 0x9123_683E: ("btrfs", false), 0x0102_1994: ("tmpfs", false),
        0x8584_58f6: ("ramfs", false), 0x794c_7630: ("overlay", false), 0x2fc1_2fc1: ("zfs", false), 0xF2F5_2010: ("f2fs", false),
        0xCA45_1A4E: ("bcachefs", false), 0x4d44: ("vfat", false), 0x2011_BAB0: ("exfat", false), 0x6969: ("nfs", true),
        0xFE53_4D42: ("smb2", true), 0xFF53_4D42: ("cifs", true), 0x00C3_6400: ("ceph", true), 0x0102_1997: ("9p", true),
        0x6573_5546: ("fuse", true), 0x0BD0_0BD0: ("lustre", true), 0x0116_1970: ("gfs2", true), 0x7461_636F: ("ocfs2", true),
    ]

    init(of folder: Descriptor) {
        guard let type = folder.fileSystemType else {
            name = "unknown"
            isShared = true
            return
        }
        (name, isShared) = Self.known[type & 0xFFFF_FFFF] ?? ("0x" + String(type & 0xFFFF_FFFF, radix: 16), true)
    }
}
