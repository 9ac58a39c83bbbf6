internal import QQCore

extension SystemConnector {
    /// The systems of this build.
    package static var all: [SystemConnector] {
        var all = [leaseFiles]
        #if GRPC
            all += [quorumQuest, raftLock]
        #endif
        #if NATS
            all.append(nats)
        #endif
        #if Kubernetes
            all.append(kubernetes)
        #endif
        #if GRPC
            all.append(etcd)
        #endif
        #if Consul
            all.append(consul)
        #endif
        return all
    }
}

/// A system that the library knows and this build leaves out, for want of a trait of the package.
struct MissingSystem: Sendable {
    let name: String
    let schemes: [String]
    let trait: String

    /// The system that the scheme of a server URL names; nil if this build has it, or nothing does.
    static func of(_ server: String) -> MissingSystem? {
        guard let end = server.firstRange(of: "://") else { return nil }
        let scheme = server[..<end.lowerBound].lowercased()
        return all.first { $0.schemes.contains(scheme) }
    }

    var error: ElectionError {
        ElectionError(
            .unsupported, "cannot use \(name)", because: "this build does not have it",
            hint: "add the trait \(trait) to the dependency: traits: [\"\(trait)\"]")
    }

    static var all: [MissingSystem] {
        var all: [MissingSystem] = []
        #if !NATS
            all.append(MissingSystem(name: "NATS", schemes: ["nats", "tls"], trait: "NATS"))
        #endif
        #if !GRPC
            all += [
                MissingSystem(name: "Quorum Quest", schemes: ["qq", "qqs"], trait: "GRPC"),
                MissingSystem(name: "RaftLock", schemes: ["raftlock", "raftlocks"], trait: "GRPC"),
                MissingSystem(name: "etcd", schemes: ["etcd", "etcds"], trait: "GRPC"),
            ]
        #endif
        #if !Kubernetes
            all.append(MissingSystem(name: "Kubernetes", schemes: ["k8s"], trait: "Kubernetes"))
        #endif
        #if !Consul
            all.append(MissingSystem(name: "Consul", schemes: ["consul", "consuls"], trait: "Consul"))
        #endif
        return all
    }
}
