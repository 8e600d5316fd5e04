import assert from 'node:assert/strict';
import {
  checkRequest,
  checkVisibility,
  initialStatus,
  isAutoApproved,
  mayRequest,
} from '../../../src/service/visibility.js';

const service = (visibility: string[], autoApproval: string[] = [], roleAssignments: string[] = []) => ({
  name: 'web',
  subscription: 'provider',
  visibility,
  autoApproval,
  roleAssignments,
});

describe('service: visibility and approval', () => {
  it('lets nobody but the provider ask by default', () => {
    assert.ok(mayRequest(service([]), 'provider'));
    assert.ok(!mayRequest(service([]), 'other'));
    assert.equal(checkRequest(service([]), 'other')[0]?.code, 'ENDPOINT_NOT_VISIBLE');
  });

  it('lets listed subscriptions, everyone with the alias, and role holders ask', () => {
    assert.ok(mayRequest(service(['a']), 'a') && !mayRequest(service(['a']), 'b'));
    assert.ok(mayRequest(service(['*']), 'anyone'));
    assert.ok(mayRequest(service([], [], ['r']), 'r'));
  });

  it('approves at once only who is in both lists', () => {
    assert.ok(isAutoApproved(service(['a'], ['a']), 'a'));
    assert.ok(!isAutoApproved(service([], ['a']), 'a'));
    assert.equal(checkVisibility(service([], ['a']))[0]?.code, 'AUTO_APPROVAL_NOT_VISIBLE');
    assert.ok(isAutoApproved(service(['*'], ['*']), 'z'));
    assert.equal(initialStatus(service(['a'], ['a']), 'a'), 'Approved');
    assert.equal(initialStatus(service(['a']), 'a'), 'Pending');
    assert.equal(initialStatus(service([]), 'provider'), 'Pending');
  });
});
