import QQCore
import Synchronization

/// The part of a go-cluster node that other processes can query: the micro service of format v2, or the health subject of v1.
final class ClusterNode: Sendable {
    let cluster: String
    let node: String
    private let client: any NATSCalling
    private let clock: any LeaseClock
    private let began: BootInstant
    private let snapshot: @Sendable () -> ClusterSnapshot
    private let stepDown: @Sendable (@escaping StepDownAnswer) -> Void
    private let state: Mutex<State>

    /// Answers a request to step down: nil if this node has stepped down, otherwise the reason why not.
    typealias StepDownAnswer = @Sendable (String?) -> Void

    private struct State {
        var service: MicroService
        var subscriptions: [UInt64] = []
    }

    /// - Parameters:
    ///   - snapshot: returns this node's current knowledge of its cluster.
    ///   - stepDown: called when another process asks this node to step down; it answers when that is done.
    init(
        cluster: String, node: String, version: String, client: any NATSCalling, clock: any LeaseClock,
        snapshot: @escaping @Sendable () -> ClusterSnapshot,
        stepDown: @escaping @Sendable (@escaping StepDownAnswer) -> Void
    ) {
        self.cluster = cluster
        self.node = node
        self.client = client
        self.clock = clock
        self.snapshot = snapshot
        self.stepDown = stepDown
        began = clock.now()
        state = Mutex(
            State(
                service: .clusterNode(cluster: cluster, node: node, id: NUID.next(), version: version, started: .now())))
    }

    private var uptime: Duration { clock.now().duration(since: began) }

    /// Answers requests from now on, until `stop`.
    func start(_ format: LeaseFormat) {
        let subscriptions = format == .v1 ? startHealth() : startService()
        state.withLock { $0.subscriptions += subscriptions }
    }

    func stop() {
        let subscriptions = state.withLock { state in
            defer { state.subscriptions = [] }
            return state.subscriptions
        }
        for subscription in subscriptions { client.unsubscribe(subscription) }
    }

    private func startHealth() -> [UInt64] {
        [
            answer(NodeSubject.health(cluster, node)) { [self] in
                NodeAnswer.health(snapshot(), node: node, uptime: uptime, at: .now())
            }
        ]
    }

    private func startService() -> [UInt64] {
        let service = state.withLock { $0.service }
        var subscriptions: [UInt64] = []
        for verb in MicroService.Verb.allCases {
            for subject in service.subjects(verb) {
                subscriptions.append(answer(subject) { [self] in state.withLock { $0.service.answer(verb) } })
            }
        }
        subscriptions.append(
            endpoint("status", NodeSubject.status(cluster, node)) { [self] in
                // A process that gets this answer knows from it that this node is connected.
                NodeAnswer.status(snapshot(), node: node, uptime: uptime, isConnected: true)
            })
        subscriptions.append(endpoint("ping", NodeSubject.ping(cluster, node)) { NodeAnswer.ping(at: .now()) })
        subscriptions.append(serve(NodeSubject.stepDown(cluster, node), queue: MicroService.queue) { [self] in steppingDown($0) })
        return subscriptions
    }

    private func steppingDown(_ reply: String) {
        let asked = clock.now()
        stepDown { [self] refusal in
            state.withLock { $0.service.served("stepdown", in: clock.now().duration(since: asked)) }
            send(refusal.map { NodeAnswer.notSteppedDown($0) } ?? NodeAnswer.steppedDown(), to: reply)
        }
    }

    private func endpoint(_ name: String, _ subject: String, _ body: @escaping @Sendable () -> JSONValue) -> UInt64 {
        serve(subject, queue: MicroService.queue) { [self] reply in
            let asked = clock.now()
            let answer = body()
            state.withLock { $0.service.served(name, in: clock.now().duration(since: asked)) }
            send(answer, to: reply)
        }
    }

    private func answer(_ subject: String, _ body: @escaping @Sendable () -> JSONValue) -> UInt64 {
        serve(subject, queue: nil) { [self] reply in send(body(), to: reply) }
    }

    private func serve(_ subject: String, queue: String?, _ body: @escaping @Sendable (String) -> Void) -> UInt64 {
        client.subscribe(subject, queue: queue) { delivery in
            if case .message(let message) = delivery, let reply = message.reply { body(reply) }
            return true
        }
    }

    private func send(_ answer: JSONValue, to reply: String) { client.publish(reply, payload: JSONWriter.bytes(answer)) }
}
