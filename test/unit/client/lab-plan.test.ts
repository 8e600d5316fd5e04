import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { planLab } from '../../../src/client/lab-plan.js';
import { parseLab } from '../../../src/config/index.js';
import { documentsOf } from '../../../src/service/arm/from-model.js';
import { judge } from '../../../src/service/arm/judge.js';
import { Sequence } from '../service/arm/sequence.js';

describe('culvert apply of a lab file', () => {
  it('has nothing to do with its own resources, whatever their parts are called', () => {
    const names = ['toString', 'valueOf', 'constructor'];
    const subnets = Object.fromEntries(names.map((name, i) => [name, `10.0.${String(i)}.0/24`]));
    const text = stringify({ virtualNetworks: { v: { subscription: 's', addressSpace: ['10.0.0.0/16'], subnets } } });
    const lab = parseLab(text, 'lab.yaml');
    const put = documentsOf(lab.model, lab.gateway.networks, new Sequence());
    const state = judge(new Map(), { put, remove: [] }).documents;
    assert.deepEqual(planLab(lab, new Map(), state, true).steps, []);
  });
});
