// Zabbix media type "Isthmus" (Webhook): script. Zabbix 6.4 and later; the parameters are listed in doc.md.
// Zabbix signs nothing by itself, so this script does: HMAC-SHA256 over "<time>:<body>" with the connection's secret.
try {
    var given = JSON.parse(value);

    // A macro that this version of Zabbix does not know, or that says nothing here, stays in braces.
    function text(name) {
        var found = given[name];
        return (found === undefined || /^\{[A-Z.0-9]+\}$/.test(found) || found === '*UNKNOWN*') ? '' : String(found);
    }

    // Date and time of Zabbix are the server's local ones without a zone; Date reads them in the same zone.
    function seconds(stamp, date, time) {
        if (/^\d+$/.test(stamp)) {
            return parseInt(stamp, 10);
        }
        var day = date.match(/^(\d{4})\.(\d{2})\.(\d{2})/), hour = time.match(/^(\d{2}):(\d{2}):(\d{2})/);
        if (!day || !hour) {
            return 0;
        }
        return Math.floor(new Date(+day[1], +day[2] - 1, +day[3], +hour[1], +hour[2], +hour[3]).getTime() / 1000);
    }

    var tags = [];
    try {
        tags = JSON.parse(text('event_tags') || '[]');
    } catch (error) {
        tags = [];
    }
    var update = text('event_update_status') === '1';
    var body = JSON.stringify({
        version: 1,
        event_id: text('event_id'),
        recovery_id: text('event_recovery_id'),
        trigger_id: text('trigger_id'),
        value: parseInt(text('event_value') || '1', 10),
        update: update,
        name: text('event_name'),
        severity: parseInt(text('event_nseverity') || '0', 10),
        host: text('host_host'),
        host_name: text('host_name'),
        address: text('host_ip'),
        opdata: text('event_opdata'),
        url: text('trigger_url'),
        tags: tags,
        started_at: seconds(text('event_timestamp'), text('event_date'), text('event_time')),
        ended_at: seconds(text('event_recovery_timestamp'), text('event_recovery_date'), text('event_recovery_time')),
        at: Math.floor(Date.now() / 1000),
        acknowledged: text('event_ack_status') === 'Yes',
        user: update ? text('user_fullname') : '',
        action: update ? text('event_update_action') : '',
        message: update ? text('event_update_message') : ''
    });
    var moment = String(Math.floor(Date.now() / 1000));
    var request = new HttpRequest();
    if (given.proxy) {
        request.setProxy(given.proxy);
    }
    request.addHeader('Content-Type: application/json');
    request.addHeader('X-Isthmus-Timestamp: ' + moment);
    request.addHeader('X-Isthmus-Signature: sha256=' + hmac('sha256', given.secret, moment + ':' + body));
    var answer = request.post(given.url, body);
    if (request.getStatus() !== 202) {
        // Zabbix tries again as often as the media type says.
        throw 'Isthmus answered ' + request.getStatus() + ': ' + String(answer).slice(0, 200);
    }
    return JSON.stringify({ tags: {} });
} catch (error) {
    throw 'Isthmus: ' + error;
}
