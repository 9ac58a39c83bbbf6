import Glibc
import Support

/// A fault that strikes the leader, or any contender in whatever phase it is.
enum Fault: String, CaseIterable, Sendable {
    case killQQ = "qq killed"
    case killGuardian = "guardian killed"
    case killBoth = "both killed"
    case killCommand = "command killed"
    case stopQQ = "qq stopped"
    case stopGuardian = "guardian stopped"
    case stopBoth = "both stopped"
    case stopCommand = "command stopped"
    case freezeGuardian = "guardian frozen"
    case killAnyQQ = "any qq killed"
    case killAnyGuardian = "any guardian killed"
    case stopAnyGuardian = "any guardian stopped"
    case stopAnyQQ = "any qq stopped"
    case terminate = "SIGTERM"
    case stepDown = "step-down"
    case foreignWrite = "lease file emptied"
    case pauseServer = "server paused"
    case killServer = "server killed"

    var isForAnybody: Bool { [.killAnyQQ, .killAnyGuardian, .stopAnyGuardian, .stopAnyQQ].contains(self) }

    /// Whether this user can cause the fault in an election of this kind.
    func applies(toFiles: Bool) -> Bool {
        switch self {
        case .foreignWrite: toFiles
        case .pauseServer, .killServer: !toFiles
        case .freezeGuardian: geteuid() == 0
        default: true
        }
    }
}
