import QQCore
import QQNATS

/// A consumer that pushes the messages of one subject, as a watch of a key has it. Kept in memory by one server.
final class NATSConsumer {
    let name: String
    let node: Int
    private let subject: String
    private let inbox: String
    private let heartbeat: Nanoseconds
    private unowned let stream: NATSStream
    private(set) var delivered: UInt64 = 0
    private var lastSent: Nanoseconds = 0
    private var isGone = false

    init(_ name: String, subject: String, inbox: String, heartbeat: Nanoseconds, at node: Int, of stream: NATSStream) {
        self.name = name
        self.subject = subject
        self.inbox = inbox
        self.heartbeat = max(heartbeat, .milliseconds(100))
        self.node = node
        self.stream = stream
        lastSent = stream.servers.world.now
        beat()
    }

    /// The number of messages that it has still to deliver.
    func pending(_ replica: NATSStream.Replica) -> Int { replica.last(subject) == nil ? 0 : 1 }

    func begin(_ replica: NATSStream.Replica) { if let last = replica.last(subject) { take(last) } }

    func take(_ message: StoredMessage) {
        guard message.subject == subject, !isGone else { return }
        delivered += 1
        let stored = message.stored.seconds * 1_000_000_000 + Int64(message.stored.nanoseconds)
        push(
            NATSMessage(
                subject: message.subject,
                reply: "$JS.ACK.\(stream.name).\(name).1.\(message.sequence).\(delivered).\(stored).0",
                headers: NATSHeaders(message.headers),
                payload: message.payload))
    }

    private func push(_ message: NATSMessage) {
        lastSent = stream.servers.world.now
        if !stream.servers.push(message, to: inbox, from: node) { remove() }
    }

    private func beat() {
        stream.servers.later(node, heartbeat) { [weak self] in
            guard let self, !isGone else { return }
            let servers = stream.servers
            if servers.world.now - lastSent >= heartbeat / 2 {
                push(
                    NATSMessage(
                        subject: inbox,
                        headers: NATSHeaders(
                            [.init("Nats-Last-Consumer", String(delivered)), .init("Nats-Last-Stream", "0")], status: 100,
                            statusText: "Idle Heartbeat")))
            }
            beat()
        }
    }

    func remove() {
        isGone = true
        stream.consumers.removeAll { $0 === self }
    }
}
