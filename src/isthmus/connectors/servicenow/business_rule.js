// Business rule "Isthmus: tell the hub" on incident and on change_request (one rule per table).
// When: async; Insert, Update, Delete. Advanced: yes. Script: everything below.
// System properties: isthmus.webhook_url  (…/ingest/servicenow/<connection>, string)
//                    isthmus.webhook_key  (the connection's webhook_secret, base64, type password2)
// Asynchronous on purpose: the journal is complete by then, and a slow hub never slows a person's save.
(function executeRule(current) {
  var COLUMNS = ['sys_id', 'number', 'sys_mod_count', 'sys_updated_on', 'sys_updated_by', 'sys_created_on',
    'correlation_id', 'correlation_display', 'short_description', 'description', 'state', 'priority',
    'category', 'assignment_group', 'close_code', 'close_notes', 'type', 'approval', 'risk', 'start_date',
    'end_date', 'implementation_plan', 'backout_plan', 'sys_created_by', 'cmdb_ci'];
  var JOURNAL = ['sys_id', 'element_id', 'element', 'value', 'sys_created_on', 'sys_created_by'];
  var ENTRIES_MAX = 100;

  function cells(record, names) {
    var found = {};
    names.forEach(function (name) {
      if (record.isValidField(name)) {
        found[name] = { value: String(record.getValue(name) || ''),
                        display_value: String(record.getDisplayValue(name) || '') };
      }
    });
    return found;
  }

  var journal = [];
  var entry = new GlideRecord('sys_journal_field');
  entry.addQuery('element_id', current.getUniqueValue());
  entry.addQuery('element', 'IN', 'comments,work_notes');
  entry.orderByDesc('sys_created_on');
  entry.setLimit(ENTRIES_MAX);
  entry.query();
  while (entry.next()) {
    journal.unshift(cells(entry, JOURNAL));
  }

  var id = gs.generateGUID();
  var body = JSON.stringify({ id: id, table: current.getTableName(), operation: current.operation(),
                              record: cells(current, COLUMNS), journal: journal });
  var timestamp = String(Math.floor(new GlideDateTime().getNumericValue() / 1000));
  var key = String(gs.getProperty('isthmus.webhook_key')).replace(/^whsec_/, '');
  // The key is base64 already, the result is base64: exactly the Standard Webhooks scheme.
  var mac = new GlideCertificateEncryption().generateMac(key, 'HmacSHA256', id + '.' + timestamp + '.' + body);

  var request = new sn_ws.RESTMessageV2();
  request.setEndpoint(gs.getProperty('isthmus.webhook_url'));
  request.setHttpMethod('POST');
  request.setHttpTimeout(10000);
  request.setRequestHeader('Content-Type', 'application/json');
  request.setRequestHeader('webhook-id', id);
  request.setRequestHeader('webhook-timestamp', timestamp);
  request.setRequestHeader('webhook-signature', 'v1,' + mac);
  request.setRequestBody(body);
  var response = request.execute();
  if (response.getStatusCode() >= 300) {
    // Nothing is lost: the hub's poll finds the record by sys_updated_on.
    gs.warn('Isthmus did not take the event ' + id + ': ' + response.getStatusCode());
  }
})(current);
