/// All systems that worlds can have.
public enum SimulatedSystems {
    public static let all: [SimulatedSystem] = [
        .reference, .consul, .etcd, .files, .kubernetes, .nats, .quorumQuest, .raftLock,
    ]
}
