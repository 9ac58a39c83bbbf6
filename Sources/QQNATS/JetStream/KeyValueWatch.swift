import NIOCore
import QQCore

/// An update from a watch over keys.
enum KeyValueUpdate: Sendable {
    case entry(KeyValueEntry)
    /// Every entry that existed at the start has been reported.
    case initialDone
    /// The watch has ended.
    case failed(JetStreamFailure)
}

/// Carries out the actions of an `OrderedConsumer` on the client's event loop.
struct KeyValueWatch: Sendable {
    private let client: NATSClient
    private let runner: NIOLoopBoundBox<Runner>

    /// - Parameter sink: called on the event loop with every update; must not block.
    init(
        _ configuration: OrderedConsumer.Configuration, jetStream: JetStream, timeout: Duration, clock: any LeaseClock,
        sink: @escaping @Sendable (KeyValueUpdate) -> Void
    ) {
        client = jetStream.client
        let runner = NIOLoopBoundBox.makeBoxSendingValue(
            Runner(OrderedConsumer(configuration), jetStream: jetStream, timeout: timeout, clock: clock, sink: sink),
            eventLoop: client.eventLoop)
        self.runner = runner
        client.onLoop { _ in runner.value.start(runner) }
    }

    /// Stops all further updates.
    func stop() {
        let runner = runner
        client.onLoop { _ in runner.value.handle(.stop, runner) }
    }

    private final class Runner {
        private var consumer: OrderedConsumer
        private let jetStream: JetStream
        private let timeout: Duration
        private let clock: any LeaseClock
        private let sink: @Sendable (KeyValueUpdate) -> Void
        private var subscriptions: [String: UInt64] = [:]
        /// Subscription that never gets a message. It reports cuts of the connection even while there is no consumer to subscribe to.
        private var connectionProbe: UInt64?
        private var timer: Scheduled<Void>?

        init(
            _ consumer: OrderedConsumer, jetStream: JetStream, timeout: Duration, clock: any LeaseClock,
            sink: @escaping @Sendable (KeyValueUpdate) -> Void
        ) {
            self.consumer = consumer
            self.jetStream = jetStream
            self.timeout = timeout
            self.clock = clock
            self.sink = sink
        }

        func start(_ box: NIOLoopBoundBox<Runner>) {
            connectionProbe = jetStream.client.subscribe(jetStream.client.newInbox()) { delivery in
                switch delivery {
                case .disconnected: box.value.handle(.disconnected, box)
                case .reconnected: box.value.handle(.reconnected, box)
                case .message, .failed: break
                }
                return true
            }
            handle(.start, box)
        }

        func handle(_ event: OrderedConsumer.Event, _ box: NIOLoopBoundBox<Runner>) {
            for action in consumer.handle(event, now: clock.now()) { perform(action, box) }
            guard consumer.hasEnded else { return }
            timer?.cancel()
            if let connectionProbe { jetStream.client.unsubscribe(connectionProbe) }
            connectionProbe = nil
        }

        private func perform(_ action: OrderedConsumer.Action, _ box: NIOLoopBoundBox<Runner>) {
            let client = jetStream.client
            let api = jetStream.api
            switch action {
            case .subscribe(let inbox):
                subscriptions[inbox] = client.subscribe(inbox) { delivery in
                    box.value.delivered(delivery, box)
                    return true
                }
            case .unsubscribe(let inbox):
                if let sid = subscriptions.removeValue(forKey: inbox) { client.unsubscribe(sid) }
            case .create(let configuration):
                let name = configuration.name
                client.request(
                    api.consumerCreate(configuration.stream, consumer: name, filter: configuration.filter), payload: configuration.creation,
                    isRepeatable: false, timeout: timeout
                ) { result in box.value.created(name, result, box) }
            case .deleteConsumer(let stream, let name):
                client.publish(api.consumerDelete(stream, consumer: name), reply: client.newInbox())
            case .reply(let subject): client.publish(subject)
            case .deliver(let entry): sink(.entry(entry))
            case .initialDone: sink(.initialDone)
            case .fail(let failure): sink(.failed(failure))
            case .timer(let instant):
                timer?.cancel()
                let pause = max(instant.duration(since: clock.now()), .zero)
                timer = client.eventLoop.scheduleTask(in: .nanoseconds(pause.nanoseconds)) { box.value.handle(.timer, box) }
            }
        }

        private func delivered(_ delivery: NATSDelivery, _ box: NIOLoopBoundBox<Runner>) {
            switch delivery {
            case .message(let message): handle(.delivery(message), box)
            // `connectionProbe` reports these; the consumer's own count shows which messages are missing.
            case .disconnected, .reconnected: break
            case .failed(let error):
                handle(.stop, box)
                sink(.failed(.failed(error)))
            }
        }

        private func created(_ name: String, _ result: Result<NATSMessage, NATSError>, _ box: NIOLoopBoundBox<Runner>) {
            do throws(JetStreamFailure) {
                switch result {
                case .success(let message): handle(.created(try ConsumerInfo(message)), box)
                case .failure(let error): throw .failed(error)
                }
            } catch { handle(.createFailed(name: name, error), box) }
        }
    }
}
