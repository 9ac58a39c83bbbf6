import QQCore
import Synchronization

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
    private let runner: Runner

    /// - Parameter sink: called on the event loop with every update; must not block.
    init(
        _ configuration: OrderedConsumer.Configuration, jetStream: JetStream, timeout: Duration, clock: any LeaseClock,
        sink: @escaping @Sendable (KeyValueUpdate) -> Void
    ) {
        let runner = Runner(OrderedConsumer(configuration), jetStream: jetStream, timeout: timeout, clock: clock, sink: sink)
        self.runner = runner
        jetStream.client.execute { runner.start() }
    }

    /// Stops all further updates.
    func stop() {
        let runner = runner
        runner.client.execute { runner.handle(.stop) }
    }

    private final class Runner: Sendable {
        private struct State {
            var consumer: OrderedConsumer
            var subscriptions: [String: UInt64] = [:]
            /// Subscription that never gets a message. It reports cuts of the connection even while there is no consumer to subscribe to.
            var connectionProbe: UInt64?
            /// Cancels the timer.
            var cancelTimer: @Sendable () -> Void = {}
        }

        private let jetStream: JetStream
        private let timeout: Duration
        private let clock: any LeaseClock
        private let sink: @Sendable (KeyValueUpdate) -> Void
        /// Only the event loop uses it, so nothing waits for the lock.
        private let state: Mutex<State>

        var client: any NATSCalling { jetStream.client }

        init(
            _ consumer: OrderedConsumer, jetStream: JetStream, timeout: Duration, clock: any LeaseClock,
            sink: @escaping @Sendable (KeyValueUpdate) -> Void
        ) {
            state = Mutex(State(consumer: consumer))
            self.jetStream = jetStream
            self.timeout = timeout
            self.clock = clock
            self.sink = sink
        }

        func start() {
            let probe = client.subscribe(client.newInbox()) { delivery in
                switch delivery {
                case .disconnected: self.handle(.disconnected)
                case .reconnected: self.handle(.reconnected)
                case .message, .failed: break
                }
                return true
            }
            state.withLock { $0.connectionProbe = probe }
            handle(.start)
        }

        func handle(_ event: OrderedConsumer.Event) {
            let actions = state.withLock { $0.consumer.handle(event, now: clock.now()) }
            for action in actions { perform(action) }
            let probe = state.withLock { state -> UInt64? in
                guard state.consumer.hasEnded else { return nil }
                state.cancelTimer()
                defer { state.connectionProbe = nil }
                return state.connectionProbe
            }
            if let probe { client.unsubscribe(probe) }
        }

        private func perform(_ action: OrderedConsumer.Action) {
            let api = jetStream.api
            switch action {
            case .subscribe(let inbox):
                let sid = client.subscribe(inbox) { delivery in
                    self.delivered(delivery)
                    return true
                }
                state.withLock { $0.subscriptions[inbox] = sid }
            case .unsubscribe(let inbox):
                if let sid = state.withLock({ $0.subscriptions.removeValue(forKey: inbox) }) { client.unsubscribe(sid) }
            case .create(let configuration):
                let name = configuration.name
                client.request(
                    api.consumerCreate(configuration.stream, consumer: name, filter: configuration.filter), payload: configuration.creation,
                    isRepeatable: false, timeout: timeout
                ) { self.created(name, $0) }
            case .deleteConsumer(let stream, let name):
                client.publish(api.consumerDelete(stream, consumer: name), reply: client.newInbox())
            case .reply(let subject): client.publish(subject)
            case .deliver(let entry): sink(.entry(entry))
            case .initialDone: sink(.initialDone)
            case .fail(let failure): sink(.failed(failure))
            case .timer(let instant):
                let cancel = client.schedule(in: max(instant.duration(since: clock.now()), .zero)) { self.handle(.timer) }
                state.withLock { state in
                    state.cancelTimer()
                    state.cancelTimer = cancel
                }
            }
        }

        private func delivered(_ delivery: NATSDelivery) {
            switch delivery {
            case .message(let message): handle(.delivery(message))
            // `connectionProbe` reports these; the consumer's own count shows which messages are missing.
            case .disconnected, .reconnected: break
            case .failed(let error):
                handle(.stop)
                sink(.failed(.failed(error)))
            }
        }

        private func created(_ name: String, _ result: Result<NATSMessage, NATSError>) {
            do throws(JetStreamFailure) {
                switch result {
                case .success(let message): handle(.created(try ConsumerInfo(message)))
                case .failure(let error): throw .failed(error)
                }
            } catch { handle(.createFailed(name: name, error)) }
        }
    }
}
