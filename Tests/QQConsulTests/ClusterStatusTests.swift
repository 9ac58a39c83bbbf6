import QQCore
import Testing

@testable import QQConsul

@Suite("Status of a cluster of Consul") struct ConsulClusterStatusTests {
    private func answer(_ text: String, status: Int = 200) -> ClusterStatus.Answer {
        let answer = ConsulAnswer(
            status: status, index: nil, body: (try? JSONValue.parse(text.utf8)) ?? .null, text: status == 200 ? "" : text,
            endpoint: "a:8500")
        if let failure = ConsulFailure(answer) { return .failure(failure) }
        return .success(answer)
    }

    private let own = """
        {"Config": {"Datacenter": "dc1", "NodeName": "server1", "Server": true, "Version": "1.8.7"}, "Stats": {"raft": {"state": "Follower", \
        "term": "2", "applied_index": "205", "commit_index": "205", "last_log_index": "206", "last_contact": "54.97ms"}}}
        """
    private let health = """
        {"Healthy": true, "FailureTolerance": 1, "Servers": [{"ID": "x", "Name": "server2", "Address": "server2:8300", "SerfStatus": "alive", \
        "Version": "1.8.7", "Leader": false, "LastContact": "250ms", "LastTerm": 2, "LastIndex": 205, "Healthy": true, "Voter": true}]}
        """

    @Test func `an agent's state and that of every server is shown`() {
        let details = ClusterStatus.details(
            leader: "server3:8300", peers: answer(#"["server2:8300","server3:8300"]"#), own: answer(own), health: answer(health))
        #expect(details["leader"] == "server3:8300")
        #expect(details["peers"] == ["server2:8300", "server3:8300"])
        #expect(details["version"] == "1.8.7" && details["role"] == "Follower" && details["is_server"] == true)
        #expect(details["term"] == 2 && details["last_log_index"] == 206)
        #expect(details["last_contact"]?.doubleValue.map { abs($0 - 0.05497) < 1e-9 } == true)
        let server = details["servers"]?.arrayValue?.first
        #expect(server?["name"] == "server2" && server?["last_contact"] == .double(0.25) && server?["voter"] == true)
        #expect(details["missing_rules"] == nil)
    }

    @Test func `what the token must not see is named`() {
        let denied = answer("Permission denied", status: 403)
        let details = ClusterStatus.details(leader: "acl:8300", peers: answer(#"["acl:8300"]"#), own: denied, health: denied)
        #expect(details["missing_rules"] == ["agent:read", "operator:read"])
        #expect(details["version"] == nil && details["servers"] == nil)
    }

    @Test func `a cluster without a leader has none`() {
        let health = answer("No cluster leader", status: 500)
        #expect(ClusterStatus.details(leader: "", peers: answer("[]"), own: answer(own), health: health)["leader"] == .null)
    }
}
