import QQCore

/// A service in terms of NATS' micro framework (ADR-32): its identity, endpoints and statistics. Pure.
struct MicroService: Sendable {
    struct Endpoint: Sendable {
        let name: String
        let subject: String
        fileprivate(set) var requests: UInt64 = 0
        fileprivate(set) var errors: UInt64 = 0
        fileprivate(set) var lastError = ""
        fileprivate(set) var processing: Duration = .zero

        init(name: String, subject: String) {
            self.name = name
            self.subject = subject
        }

        fileprivate var statistics: JSONValue {
            [
                "name": .string(name), "subject": .string(subject), "queue_group": .string(queue), "num_requests": .number(requests),
                "num_errors": .number(errors), "last_error": .string(lastError), "processing_time": .integer(processing.nanoseconds),
                "average_processing_time": .integer(requests == 0 ? 0 : processing.nanoseconds / Int64(clamping: requests)),
            ]
        }
    }

    enum Verb: String, CaseIterable {
        case info = "INFO"
        case ping = "PING"
        case stats = "STATS"
    }

    /// The queue group of the framework's endpoints.
    static let queue = "q"

    let name: String
    let id: String
    let version: String
    let description: String
    let started: WallTime
    private(set) var endpoints: [Endpoint]

    /// The subjects of a verb: for all services, for services of this name, and for this service alone.
    func subjects(_ verb: Verb) -> [String] {
        ["$SRV.\(verb.rawValue)", "$SRV.\(verb.rawValue).\(name)", "$SRV.\(verb.rawValue).\(name).\(id)"]
    }

    mutating func served(_ endpoint: String, in time: Duration, error: String? = nil) {
        guard let index = endpoints.firstIndex(where: { $0.name == endpoint }) else { return }
        endpoints[index].requests += 1
        endpoints[index].processing += time
        guard let error else { return }
        endpoints[index].errors += 1
        endpoints[index].lastError = error
    }

    func answer(_ verb: Verb) -> JSONValue {
        var members: [JSONObject.Member] = [
            .init(name: "name", value: .string(name)), .init(name: "id", value: .string(id)),
            .init(name: "version", value: .string(version)), .init(name: "metadata", value: [:]),
            .init(name: "type", value: .string("io.nats.micro.v1.\(verb.rawValue.lowercased())_response")),
        ]
        switch verb {
        case .ping: break
        case .info:
            members.append(.init(name: "description", value: .string(description)))
            let list = endpoints.map { endpoint -> JSONValue in
                [
                    "name": .string(endpoint.name), "subject": .string(endpoint.subject), "queue_group": .string(Self.queue),
                    "metadata": .null,
                ]
            }
            members.append(.init(name: "endpoints", value: .array(list)))
        case .stats:
            members.append(.init(name: "started", value: .string(started.rfc3339Nano)))
            members.append(.init(name: "endpoints", value: .array(endpoints.map(\.statistics))))
        }
        return .object(JSONObject(members))
    }
}

extension MicroService {
    /// The service of a go-cluster node.
    static func clusterNode(cluster: String, node: String, id: String, version: String, started: WallTime) -> MicroService {
        MicroService(
            name: "cluster_\(cluster)", id: id, version: version, description: "Cluster coordination service for \(cluster)",
            started: started,
            endpoints: [
                Endpoint(name: "status", subject: NodeSubject.status(cluster, node)),
                Endpoint(name: "ping", subject: NodeSubject.ping(cluster, node)),
                Endpoint(name: "stepdown", subject: NodeSubject.stepDown(cluster, node)),
            ])
    }
}
