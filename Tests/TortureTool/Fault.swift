import Glibc

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
    case foreignWrite = "lease emptied"
    case pauseServer = "server paused"
    case killServer = "server killed"
    case badAnswers = "bad answers"
    case cutOff = "cut off"
    case replacePeer = "peer replaced"

    var isForAnybody: Bool { [.killAnyQQ, .killAnyGuardian, .stopAnyGuardian, .stopAnyQQ, .replacePeer].contains(self) }

    /// Whether it strikes processes of contenders, on every system.
    var isOfProcesses: Bool {
        switch self {
        case .foreignWrite, .pauseServer, .killServer, .badAnswers, .cutOff, .replacePeer: false
        default: true
        }
    }

    /// Whether this user can cause it.
    var isPossible: Bool { self != .freezeGuardian || geteuid() == 0 }
}
