/// The faults that only RaftLock has, in the order of `SimulatedSystem.faults`.
enum RaftLockFault: Int, CaseIterable {
    case meeting, wedge, cutOff, noMajority, newLeader, hang

    var fault: SystemFault {
        switch self {
        case .meeting: SystemFault("two writes at a moment wedge the Raft leader", longest: .seconds(30), weight: 10)
        case .wedge: SystemFault("a node is wedged: it reads, and does not write", longest: .seconds(30), weight: 10)
        case .cutOff: SystemFault("a node does not reach the other nodes", longest: .seconds(60), weight: 20)
        case .noMajority: SystemFault("no node reaches another", longest: .seconds(60), weight: 15)
        case .newLeader: SystemFault("another node becomes the Raft leader", longest: 0, weight: 15)
        case .hang: SystemFault("a node hangs: it answers nothing", longest: .seconds(20), weight: 10)
        }
    }
}
