import Glibc
import QQCore

/// The modes and owners of the files in a lease folder. A user who can open a lease file, even for reading only, can lock it (flock(2)) and thereby block
/// its elections. Files are therefore private to their owner, unless the folder is shared on purpose.
///
/// A folder is shared with the users who can write to it: a group, or everybody.
enum Permissions {
    static func isEverybodys(_ folder: stat) -> Bool { folder.st_mode & S_IWOTH != 0 }

    static func isGroups(_ folder: stat) -> Bool { folder.st_mode & S_IWGRP != 0 && !isEverybodys(folder) }

    static func ofNewFile(in folder: stat) -> mode_t { isEverybodys(folder) ? 0o644 : isGroups(folder) ? 0o660 : 0o600 }

    /// Gives a file that is ours the permissions that its folder asks for. In a group's folder these do not depend on our umask, as little as those of a
    /// shared git repository: who let the group write there said whose elections they are. What somebody gave others on purpose, to write, stays.
    static func settle(_ file: Descriptor, _ own: stat, in folder: stat) {
        // A file with a second name may be another altogether, which somebody has linked to here.
        guard own.st_uid == geteuid(), own.st_nlink == 1, !isEverybodys(folder) else { return }
        if isGroups(folder) {
            // Without its set-gid bit the folder leaves new files to our own group.
            guard own.st_gid == folder.st_gid || fchown(file.number, uid_t.max, folder.st_gid) == 0 else { return }
            if own.st_mode & 0o060 != 0o060 { fchmod(file.number, own.st_mode & 0o777 | 0o060) }
            return
        }
        if own.st_mode & 0o022 == 0, own.st_mode & 0o077 != 0 { fchmod(file.number, own.st_mode & 0o700) }
        // A file that root creates in another user's folder belongs to that user, who continues with it.
        if geteuid() == 0, folder.st_uid != 0 { fchown(file.number, folder.st_uid, folder.st_gid) }
    }

    /// The same for a file that is to be changed. Where it cannot be done the change may be possible all the same.
    static func settle(_ file: Descriptor?, in folder: Descriptor) {
        guard let file, let own = try? file.information(), let around = try? folder.information() else { return }
        settle(file, own, in: around)
    }

    /// Whether a default folder is ours and lets others look, without being shared on purpose: earlier versions made root's that way.
    static func areTooWide(_ folder: stat) -> Bool {
        folder.st_uid == geteuid() && folder.st_mode & 0o077 != 0 && folder.st_mode & (S_IWGRP | S_IWOTH) == 0
    }

    /// Closes a default folder, and the lease files in it, to others; unless there are files of others in it.
    static func makePrivate(_ folder: Descriptor, of leaseFolder: LeaseFolder) {
        guard let names = try? Folder.names(in: leaseFolder.path) else { return }
        var leases: [String] = []
        for name in names {
            var information = stat()
            guard fstatat(folder.number, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            guard information.st_uid == geteuid() else { return }
            guard information.st_mode & S_IFMT == S_IFREG, information.st_mode & 0o022 == 0 else { continue }
            let isLease =
                name.hasSuffix(LeaseFolder.suffix)
                && !LeaseTransaction.isForeign(String(name.dropLast(LeaseFolder.suffix.count)), in: leaseFolder)
            if isLease || LeaseFolder.name(ofSideFile: name) != nil { leases.append(name) }
        }
        guard fchmod(folder.number, 0o700) == 0 else { return }
        // Nobody else can reach into the folder any more, to put a link in the place of a file.
        for name in leases { fchmodat(folder.number, name, 0o600, 0) }
    }
}
