import Glibc
import QQCore
import QQFile

import struct LeaderElection.ConnectorInput
import struct LeaderElection.ServerAccess
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// Lease files in a folder, which need no server: the embedded default.
    static let leaseFiles = SystemDescription(
        connector: .leaseFiles,
        embedded: { () throws(ServerURL.Invalid) in try ServerURL.file(path: try embeddedFolder()) },
        unreachableHint: "check that the folder is the right one, and that this user can use it: ls -ld DIR",
        documentation: {
            SystemDocumentation(
                urls: "`file:///`*DIR*",
                meaning: """
                    Lease files: the election *NAME* is `DIR/NAME.json`, in the format of the Go leader election package. *NAME* has 1 to 128 letters, \
                    digits, dots, underscores and dashes, and does not start with a dot. Contenders on several machines need a shared file system with \
                    working locks; `qq cluster-status` shows whether it has them.
                    """,
                protocol: "lease files of the Go leader election package",
                testedAgainst: ["its lease files without leaseDuration", "its lease files with leaseDuration"],
                commandNotes: [
                    .clusterStatus: """
                    For lease files: the folder, whether it is writable and has room, its file system, and whether this has the locks that `qq` needs.
                    """
                ], endpointFields: endpointFields)
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            let messages = Messages(input.invocation)
            // Holders and waiters learn of changes in other ways, too.
            let showsChanges = [.watch, .stepDown].contains(input.invocation.command.id)
            var settings = ConnectorInput(input, for: .leaseFiles, ServerAccess(input.choice))
            settings.folders = input.folders
            settings.note = { text in if showsChanges { messages.note(text) } }
            return try SystemConnector.leaseFiles.coordinator(settings)
        })

    /// The folder of the embedded default: one for root, one for each user.
    private static func embeddedFolder() throws(ServerURL.Invalid) -> String {
        if geteuid() == 0 { return "/var/lib/qq" }
        if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") { return state + "/qq/leases" }
        if let home = variable("HOME"), home.hasPrefix("/") { return home + "/.local/state/qq/leases" }
        throw ServerURL.Invalid(reason: "neither XDG_STATE_HOME nor HOME names a folder", hint: "name one with -s file:///DIR")
    }

    private static let endpointFields: [Schema.Field] = [
        .init(
            "exists", .flag, optional: true,
            "Lease files: whether the folder exists; the default folder is created when it is first needed."),
        .init("writable", .flag, optional: true, "Lease files: whether this user can acquire leases there."),
        .init("file_system", .text, optional: true, "Lease files: the file system of the folder."),
        .init(
            "shared", .flag, optional: true,
            "Lease files: whether other machines can write to it; leases are then judged by the machines' wall clocks."),
        .init("locks", .flag, optional: true, "Lease files: whether the kernel's locks work there."),
        .init(
            "room", .flag, optional: true,
            "Lease files: whether there is space for another election: blocks, inodes, and the limit on the size of files (`ulimit -f`)."),
        .init("free_bytes", .count, optional: true, "Lease files: the free space, in bytes."),
        .init("elections", .count, optional: true, "Lease files: the number of elections."),
        .init("held", .count, optional: true, "Lease files: the number of elections with a leader."),
        .init("broken", .count, optional: true, "Lease files: the number of lease files that cannot be read."),
    ]
}
